import { expect } from 'chai'
import fc from 'fast-check'
import sharp from 'sharp'
import { decodePixels } from '../../src/inference/decode-pixels.js'
import { type FastImages, openFastDecoder, openFastImages } from '../../src/inference/fast-images.js'
import type { OpenedImage } from '../../src/inference/image-source.js'
import { fillTensor } from '../../src/inference/image-tensor.js'
import { type Fit, LETTERBOX_GREY, placementOn, shownOn } from '../../src/inference/placement.js'
import { plainJpeg, redOnGreen, withHeaderSize } from './images.js'
import { rejection } from './rejection.js'

const MAX_PIXELS = 1_000_000
const fits = ['stretch', 'letterbox', 'crop'] as const

/** Soft clouds of colour, in which half a pixel aside makes little difference. */
async function clouds(width: number, height: number, seed = 1): Promise<Buffer> {
  const small = Buffer.from(Array.from({ length: 5 * 4 * 3 }, (_, index) => (index * (seed * 37 + 51)) % 256))
  return await sharp(small, { raw: { width: 5, height: 4, channels: 3 } })
    .resize(width, height, { fit: 'fill', kernel: 'cubic' })
    .jpeg({ quality: 95, chromaSubsampling: '4:4:4' })
    .toBuffer()
}

type Input = { readonly width: number; readonly height: number; readonly fit: Fit }

/** The image as a tensor by the short way, which must take it, and by sharp. */
async function bothWays(fast: FastImages, image: OpenedImage, input: Input) {
  const options = { ...input, maxPixels: MAX_PIXELS }
  const tensors = [0, 1].map(() => new Float32Array(3 * input.width * input.height).fill(Number.NaN))
  const [short = new Float32Array(), long = new Float32Array()] = tensors
  const size = await fast.fill(image, options, short)
  const placement = await fillTensor(image, long, options)
  expect(size).to.deep.equal({ width: placement.imageWidth, height: placement.imageHeight })
  return { short, long, ...differences(short, long) }
}

/** In levels of 256. */
function differences(some: Float32Array | Uint8Array, others: Float32Array | Uint8Array) {
  expect(some.length).to.equal(others.length)
  const levels = some instanceof Float32Array ? 255 : 1
  let sum = 0
  let most = 0
  for (const [index, value] of some.entries()) {
    const difference = Math.abs(value - (others[index] ?? Number.NaN)) * levels
    if (!(difference <= most)) most = difference // also keeps NaN
    sum += difference
  }
  return { mean: sum / some.length, most }
}

describe('The short way of an image into a tensor', () => {
  let fast: FastImages
  before(async () => {
    fast = await openFastImages((work) => work())
  })

  it('is the triangle filter over the decoded pixels, for any size, shape and fit', async function () {
    this.timeout(120_000)
    const edge = fc.integer({ min: 1, max: 120 })
    const input = fc.record({ width: edge, height: edge, fit: fc.constantFrom(...fits) })
    await fc.assert(
      fc.asyncProperty(edge, edge, input, fc.nat(100), async (width, height, options, seed) => {
        const bytes = await clouds(width, height, seed)
        const target = new Float32Array(3 * options.width * options.height)

        await fast.fill({ bytes }, { ...options, maxPixels: MAX_PIXELS }, target)

        const { mean, most } = differences(target, await filtered(fast, bytes, options))
        expect(mean).to.be.lessThan(0.6)
        expect(most).to.be.lessThan(2.5)
      }),
      { numRuns: 150 },
    )
  })

  // Where it enlarges, sharp is half a pixel of the image beside the place that the Placement names, and where it cuts,
  // less than that.
  it('ends at what sharp makes of it wherever an image is shrunk', async function () {
    this.timeout(120_000)
    const edge = fc.integer({ min: 16, max: 160 })
    const more = fc.integer({ min: 0, max: 240 })
    const input = fc.record({ width: edge, height: edge, fit: fc.constantFrom('stretch', 'letterbox') })
    await fc.assert(
      fc.asyncProperty(more, more, input, fc.nat(100), async (wider, higher, options, seed) => {
        const bytes = await clouds(options.width + wider, options.height + higher, seed)
        const pixels = await decodePixels({ bytes }, MAX_PIXELS) // sharp shrinks a JPEG in two steps

        const { mean } = await bothWays(fast, pixels, options)

        expect(mean).to.be.lessThan(2)
      }),
      { numRuns: 150 },
    )
  })

  it('is nearly exact for camera images', async () => {
    const noisy = await sharp(await clouds(640, 480))
      .composite([{ input: await sharp(await clouds(64, 48, 9)).toBuffer(), left: 100, top: 77 }])
      .jpeg()
      .toBuffer()
    for (const fit of fits) {
      const { mean } = await bothWays(fast, { bytes: noisy }, { width: 320, height: 320, fit })
      expect(mean).to.be.lessThan(1.5)
    }
  })

  it('takes RGB pixels as it takes a JPEG, and copies them where nothing is to be done', async () => {
    const { pixels } = await decodePixels({ bytes: await clouds(33, 21) }, MAX_PIXELS)
    const image = { pixels, width: 33, height: 21, channels: 3 as const }

    const same = await bothWays(fast, image, { width: 33, height: 21, fit: 'stretch' })
    const smaller = await bothWays(fast, image, { width: 12, height: 12, fit: 'letterbox' })

    expect(same.most).to.be.lessThan(0.001)
    expect(smaller.mean).to.be.lessThan(1)
  })

  it('keeps one image out of the next, also when sizes and borders change', async () => {
    const input = { width: 64, height: 64, fit: 'letterbox' as const }
    const white = { bytes: await plainJpeg(200, 50, '#ffffff') }
    const tall = { bytes: await plainJpeg(50, 200, '#000000') }

    for (const image of [white, tall, white, { bytes: await plainJpeg(1, 1, '#ff0000') }, tall]) {
      expect((await bothWays(fast, image, input)).most).to.be.lessThan(2)
    }
  })

  it('leaves an EXIF orientation unapplied', async () => {
    const stored = await redOnGreen(32, 16, { left: 0, top: 0, width: 16, height: 16 })
    const turned = await sharp(stored)
      .keepExif()
      .withExif({ IFD0: { Orientation: '6' } })
      .toBuffer()

    const { most, short } = await bothWays(fast, { bytes: turned }, { width: 8, height: 8, fit: 'stretch' })

    expect(most).to.be.lessThan(12)
    expect(short[0]).to.be.greaterThan(0.9)
  })

  it('answers undefined for what it cannot decode, and leaves the verdict to sharp', async () => {
    const red = sharp(await plainJpeg(64, 64, '#ff0000'))
    const whole = await sharp(await clouds(64, 64))
      .jpeg()
      .toBuffer()
    const others = [
      await red.clone().png().toBuffer(),
      await red.clone().jpeg({ progressive: true }).toBuffer(),
      await red.clone().toColourspace('cmyk').jpeg().toBuffer(),
      await red.clone().withIccProfile('p3').jpeg().toBuffer(),
      whole.subarray(0, whole.length - 20),
      whole.subarray(0, 40),
    ]
    const options = { width: 8, height: 8, fit: 'stretch' as const, maxPixels: MAX_PIXELS }
    for (const bytes of others) {
      expect(await fast.fill({ bytes }, options, new Float32Array(192))).to.equal(undefined)
      expect(await fast.decode(bytes, MAX_PIXELS)).to.equal(undefined)
    }
    const pixels = new Uint8Array(16)
    const grey = { pixels, width: 4, height: 4, channels: 1 as const }
    expect(await fast.fill(grey, options, new Float32Array(192))).to.equal(undefined)
  })

  it('leaves large JPEGs to sharp that are shrunk four times or more, which it does while it decodes', async () => {
    const bytes = await plainJpeg(2000, 1200, '#ff0000')
    const into = async (edge: number) =>
      await fast.fill(
        { bytes },
        { width: edge, height: edge, fit: 'stretch', maxPixels: 4_000_000 },
        new Float32Array(3 * edge * edge),
      )

    expect(await into(300)).to.equal(undefined)
    expect(await into(640)).to.deep.equal({ width: 2000, height: 1200 })
  })

  it('refuses too many pixels before it takes memory for them', async () => {
    const bomb = withHeaderSize(await plainJpeg(16, 16, '#ff0000'), 65_000, 65_000)
    const options = { width: 8, height: 8, fit: 'stretch' as const, maxPixels: MAX_PIXELS }

    const fill = await rejection(fast.fill({ bytes: bomb }, options, new Float32Array(192)))
    const decode = await rejection(fast.decode(bomb, MAX_PIXELS))

    expect([fill.code, decode.code]).to.deep.equal(['LF_IMAGE_TOO_LARGE', 'LF_IMAGE_TOO_LARGE'])
    expect(fill.message).to.contain('65000x65000')
    expect(await fast.decode(bomb, Number.POSITIVE_INFINITY)).to.equal(undefined)
  })

  it('lasts through any damage to a JPEG', async function () {
    this.timeout(60_000)
    const whole = await sharp(await clouds(64, 64))
      .jpeg()
      .toBuffer()
    const options = { width: 8, height: 8, fit: 'stretch' as const, maxPixels: MAX_PIXELS }
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length - 1), fc.uint8Array({ minLength: 1, maxLength: 4 }), async (at, bytes) => {
        const changed = Buffer.from(whole)
        changed.set(bytes.subarray(0, whole.length - at), at)
        await fast.fill({ bytes: changed }, options, new Float32Array(192)).catch((error: unknown) => {
          expect(error).to.include({ code: 'LF_IMAGE_TOO_LARGE' })
        })
      }),
      { numRuns: 1000 },
    )
  })
})

describe('The short way of an image into pixels', () => {
  let fast: FastImages
  before(async () => {
    fast = await openFastImages((work) => work())
  })

  it('ends at the pixels that sharp finds, in colour, grey, and with any subsampling', async () => {
    const image = sharp(await clouds(61, 47))
    const variants = [
      await image.clone().jpeg({ chromaSubsampling: '4:4:4' }).toBuffer(),
      await image.clone().jpeg({ chromaSubsampling: '4:2:0' }).toBuffer(),
      await image.clone().toColourspace('b-w').jpeg().toBuffer(),
      rgbCoded(await image.clone().jpeg({ quality: 100, chromaSubsampling: '4:4:4' }).toBuffer()),
    ]
    for (const bytes of variants) {
      const decoded = await fast.decode(bytes, MAX_PIXELS)
      const expected = await decodePixels({ bytes }, MAX_PIXELS)

      expect(decoded).to.include({ width: 61, height: 47, channels: 3 })
      expect(differences(decoded?.pixels ?? new Uint8Array(), expected.pixels).mean).to.be.lessThan(1.5)
    }
  })

  it('is open to the event loop too, with the same pixels and refusals', async () => {
    const beside = await openFastDecoder()
    const bytes = await clouds(61, 47)
    const broken = bytes.subarray(0, bytes.length - 20)
    const bomb = withHeaderSize(bytes, 65_000, 65_000)

    const found = await Promise.all(Array.from({ length: 20 }, () => beside.decode(bytes, MAX_PIXELS)))

    expect(found[19]).to.deep.equal(await fast.decode(bytes, MAX_PIXELS))
    expect(await beside.decode(broken, MAX_PIXELS)).to.equal(undefined)
    expect((await rejection(beside.decode(bomb, MAX_PIXELS))).code).to.equal('LF_IMAGE_TOO_LARGE')
  })

  it('gives each its own memory', async () => {
    const bytes = await clouds(16, 16)

    const [one, other] = [await fast.decode(bytes, MAX_PIXELS), await fast.decode(bytes, MAX_PIXELS)]

    expect(one?.pixels.buffer).not.to.equal(other?.pixels.buffer)
    expect(one?.pixels.buffer.byteLength).to.equal(3 * 16 * 16)
  })
})

/** The filter as it is in the books, one output at a time. */
async function filtered(fast: FastImages, jpeg: Uint8Array, input: Input): Promise<Float32Array> {
  const image = (await fast.decode(jpeg, MAX_PIXELS)) ?? expect.fail('the image was not taken')
  const { left, top, width, height } = shownOn(image, input)
  const { scaleX, scaleY, offsetX, offsetY } = placementOn(image, input)
  const target = new Float32Array(3 * input.width * input.height).fill(LETTERBOX_GREY)
  for (let y = top; y < top + height; y++) {
    const rows = triangle((y + 0.5 - offsetY) / scaleY, scaleY, image.height)
    for (let x = left; x < left + width; x++) {
      const columns = triangle((x + 0.5 - offsetX) / scaleX, scaleX, image.width)
      for (const channel of [0, 1, 2]) {
        let sum = 0
        for (const [row, rowWeight] of rows) {
          for (const [column, weight] of columns) {
            sum += rowWeight * weight * (image.pixels[3 * (row * image.width + column) + channel] ?? Number.NaN)
          }
        }
        target[(channel * input.height + y) * input.width + x] = sum / 255
      }
    }
  }
  return target
}

/** Inputs with their weights around a place on an axis; what is at the edge lies beyond it. */
function triangle(centre: number, scale: number, length: number): [at: number, weight: number][] {
  const reach = Math.max(1, 1 / scale)
  const first = Math.floor(centre - reach)
  const all = Array.from({ length: Math.ceil(2 * reach) + 2 }, (_, index): [number, number] => {
    const weight = Math.max(0, 1 - Math.abs(first + index + 0.5 - centre) / reach)
    return [Math.min(length - 1, Math.max(0, first + index)), weight]
  })
  const sum = all.reduce((before, [, weight]) => before + weight, 0)
  return all.map(([at, weight]) => [at, weight / sum])
}

/** The same numbers said to be red, green and blue, by a note of Adobe's. */
function rgbCoded(jpeg: Buffer): Buffer {
  const note = [0xff, 0xee, 0, 14, ...Buffer.from('Adobe', 'latin1'), 0, 100, 0, 0, 0, 0, 0]
  return Buffer.concat([jpeg.subarray(0, 2), Buffer.from(note), jpeg.subarray(2)])
}
