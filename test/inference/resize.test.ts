import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { expect } from 'chai'
import { z } from 'zod'
import { decodePixels, type RgbPixels } from '../../src/images/pixels/decode-pixels.js'
import { layoutOn, placementOn } from '../../src/inference/image/placement.js'
import { resizeAntialiased } from '../../src/inference/image/resize-antialiased.js'
import { resizeBilinear } from '../../src/inference/image/resize-bilinear.js'

const folder = new URL('../fixtures/pixels/', import.meta.url)
const recorded = z
  .object({
    resized: z.array(
      z.object({
        crop: z.tuple([z.int(), z.int()]),
        width: z.int(),
        height: z.int(),
        filter: z.enum(['opencv', 'pillow']),
        sha256: z.string(),
      }),
    ),
  })
  .parse(JSON.parse(await readFile(new URL('reference.json', folder), 'utf8')))
const whole = await decodePixels({ bytes: await readFile(new URL('rgb.png', folder)) }, 1_000_000)

function cropped(width: number, height: number): RgbPixels {
  const rows = Array.from({ length: height }, (_, y) => {
    const from = 3 * y * whole.width
    return whole.pixels.subarray(from, from + 3 * width)
  })
  return { pixels: Buffer.concat(rows), width, height, channels: 3 }
}

describe('A resized image', () => {
  for (const { crop, width, height, filter, sha256 } of recorded.resized) {
    const reference = filter === 'opencv' ? 'OpenCV' : 'Pillow'
    it(`has the very pixels of ${reference}: ${crop.join('x')} to ${width}x${height}`, () => {
      const image = cropped(...crop)
      const size = { width, height }

      const resized =
        filter === 'opencv' ? resizeBilinear(image, size) : resizeAntialiased(image, size, { ...size, left: 0, top: 0 })

      expect(createHash('sha256').update(resized).digest('hex')).to.equal(sha256)
    })
  }

  it('is the same in a part of it', () => {
    const [width, height] = [30, 23]
    const all = resizeAntialiased(whole, { width, height }, { left: 0, top: 0, width, height })

    const part = resizeAntialiased(whole, { width, height }, { left: 7, top: 5, width: 11, height: 9 })

    const rows = Array.from({ length: 9 }, (_, y) =>
      all.subarray(3 * ((y + 5) * width + 7), 3 * ((y + 5) * width + 18)),
    )
    expect(Buffer.compare(Buffer.from(part), Buffer.concat(rows))).to.equal(0)
  })
})

describe('The place of an image on the input', () => {
  const input = { width: 640, height: 640, fit: 'letterbox' as const }

  it('is rounded as Ultralytics does it: halves to even, borders down on the left', () => {
    expect(layoutOn({ width: 1280, height: 720 }, input)).to.deep.equal({
      resized: { width: 640, height: 360 },
      left: 0,
      top: 140,
    })
    expect(layoutOn({ width: 1280, height: 721 }, input)).to.deep.include({ resized: { width: 640, height: 360 } })
    expect(layoutOn({ width: 1280, height: 723 }, input)).to.deep.include({ resized: { width: 640, height: 362 } })
    expect(layoutOn({ width: 1280, height: 722 }, input)).to.deep.equal({
      resized: { width: 640, height: 361 },
      left: 0,
      top: 139,
    })
    expect(layoutOn({ width: 320, height: 100 }, input)).to.deep.include({ resized: { width: 640, height: 200 } })
    expect(layoutOn({ width: 1, height: 4000 }, input)).to.deep.include({
      resized: { width: 1, height: 640 },
      left: 319,
    })
  })

  it('has a scale per axis, from the rounded size', () => {
    expect(placementOn({ width: 1280, height: 721 }, input)).to.deep.include({
      scaleX: 0.5,
      scaleY: 360 / 721,
      offsetY: 140,
    })
  })

  it('is cut around the middle as torchvision does it', () => {
    const crop = { width: 224, height: 224, fit: 'crop' as const }

    expect(layoutOn({ width: 640, height: 480 }, crop)).to.deep.equal({
      resized: { width: 298, height: 224 },
      left: -37,
      top: 0,
    })
    expect(layoutOn({ width: 333, height: 501 }, crop)).to.deep.include({
      resized: { width: 224, height: 337 },
      top: -56,
    })
  })
})
