import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import sharp from 'sharp'
import { fillTensor } from '../../../src/inference/image/image-tensor.js'
import type { Fit } from '../../../src/inference/image/placement.js'
import { plainJpeg, redOnGreen, withHeaderSize } from '../images.js'
import { rejection } from '../rejection.js'

const SIDE = 8
const PLANE = SIDE * SIDE

function options(fit: Fit) {
  return { width: SIDE, height: SIDE, fit, maxPixels: 1_000_000 }
}

async function tensorOf(bytes: Uint8Array, fit: Fit) {
  const tensor = new Float32Array(3 * PLANE).fill(Number.NaN)
  const placement = await fillTensor({ bytes }, tensor, options(fit))
  const pixel = (x: number, y: number) => [0, 1, 2].map((plane) => tensor[plane * PLANE + y * SIDE + x] ?? -1)
  return { tensor, placement, pixel }
}

function expectColour(actual: number[], expected: number[]) {
  for (const [index, value] of expected.entries()) expect(actual[index]).to.be.closeTo(value, 0.02)
}

describe('An image as a tensor', () => {
  it('has red, green and blue planes in 0…1', async () => {
    const { tensor, pixel } = await tensorOf(await plainJpeg(20, 20, { r: 255, g: 51, b: 0 }), 'stretch')

    expectColour(pixel(0, 0), [1, 0.2, 0])
    expectColour(pixel(7, 7), [1, 0.2, 0])
    expect(tensor.every((value) => value >= 0 && value <= 1)).to.equal(true)
  })

  it('is stretched, put into a grey frame, or cut around the middle', async () => {
    const wide = await plainJpeg(32, 16, '#ff0000')

    const stretched = await tensorOf(wide, 'stretch')
    const framed = await tensorOf(wide, 'letterbox')
    const cut = await tensorOf(wide, 'crop')

    expect(stretched.placement).to.include({ scaleX: 0.25, scaleY: 0.5, offsetX: 0, offsetY: 0 })
    expect(framed.placement).to.include({ scaleX: 0.25, scaleY: 0.25, offsetX: 0, offsetY: 2 })
    expectColour(framed.pixel(0, 1), [114 / 255, 114 / 255, 114 / 255])
    expectColour(framed.pixel(0, 2), [1, 0, 0])
    expectColour(framed.pixel(7, 6), [114 / 255, 114 / 255, 114 / 255])
    expect(cut.placement).to.include({ scaleX: 0.5, scaleY: 0.5, offsetX: -4, offsetY: 0 })
  })

  it('is turned as its EXIF data says', async () => {
    const stored = await redOnGreen(32, 16, { left: 0, top: 0, width: 16, height: 16 })
    const turned = await sharp(stored).withMetadata({ orientation: 6 }).toBuffer()

    const { placement, pixel } = await tensorOf(turned, 'stretch')

    expect(placement).to.include({ imageWidth: 16, imageHeight: 32 })
    expectColour(pixel(1, 1), [1, 0, 0])
    expectColour(pixel(6, 1), [1, 0, 0])
    expectColour(pixel(1, 6), [0, 1, 0])
  })

  it('may be CMYK, grey, transparent, 16 bits deep, WebP, or one pixel', async () => {
    const red = sharp(await plainJpeg(16, 16, '#ff0000'))
    const variants = [
      await red.clone().toColourspace('cmyk').jpeg().toBuffer(),
      await red.clone().greyscale().toColourspace('b-w').jpeg().toBuffer(),
      await red.clone().ensureAlpha(0.5).png().toBuffer(),
      await red.clone().toColourspace('rgb16').png().toBuffer(),
      await red.clone().webp().toBuffer(),
      await plainJpeg(1, 1, '#ff0000'),
      await plainJpeg(1, 400, '#ff0000'),
    ]
    for (const bytes of variants) {
      for (const fit of ['stretch', 'letterbox', 'crop'] as const) {
        const { tensor } = await tensorOf(bytes, fit)
        expect(tensor.every((value) => value >= 0 && value <= 1)).to.equal(true)
      }
    }
    expect((await tensorOf(variants[0] ?? Buffer.alloc(0), 'stretch')).pixel(4, 4)[0]).to.be.greaterThan(0.85)
  })

  it('is refused before decoding when its header promises too many pixels', async () => {
    const bomb = withHeaderSize(await plainJpeg(16, 16, '#ff0000'), 30_000, 30_000)

    const error = await rejection(tensorOf(bomb, 'stretch'))

    expect(error.code).to.equal('LF_IMAGE_TOO_LARGE')
    expect(error.message).to.contain('30000x30000').and.to.contain('1000000')
  })

  it('is refused when it is truncated, empty, or something else, with a sentence that says so', async () => {
    const noise = await sharp({
      create: {
        width: 64,
        height: 64,
        channels: 3,
        background: '#000',
        noise: { type: 'gaussian', mean: 128, sigma: 30 },
      },
    })
      .jpeg()
      .toBuffer()
    const cases = [
      [noise.subarray(0, noise.length / 2), 'cannot be decoded'],
      [noise.subarray(0, 40), 'cannot be decoded'],
      [noise.subarray(0, 3), 'cannot be decoded'],
      [Buffer.alloc(0), 'is empty'],
      [Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"/>'), 'is no JPEG, PNG or WebP'],
      [Buffer.from('GIF89a and more'), 'is no JPEG, PNG or WebP'],
      [Buffer.from('\x89PNG\r\n\x1a\n and nothing more', 'latin1'), 'cannot be decoded'],
    ] as const
    for (const [bytes, sentence] of cases) {
      const error = await rejection(tensorOf(bytes, 'stretch'))
      expect(error.code).to.equal('LF_IMAGE_UNREADABLE')
      expect(error.message).to.contain(sentence)
    }
  })

  it('is refused with its path when the file is missing, empty, or a folder', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'loopfleet-image-'))
    const empty = join(folder, 'empty.jpg')
    await writeFile(empty, '')

    for (const path of [join(folder, 'missing.jpg'), empty, folder]) {
      const error = await rejection(fillTensor({ path }, new Float32Array(3 * PLANE), options('stretch')))
      expect(error.code).to.equal('LF_IMAGE_UNREADABLE')
      expect(error.message).to.contain(path)
    }
    await rm(folder, { recursive: true })
  })
})
