import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { expect } from 'chai'
import sharp from 'sharp'
import { z } from 'zod'
import { decodeImage, isWholeJpeg } from '../../src/images/decode-image.js'
import { noiseJpeg } from '../helpers/jpegs.js'
import { rejection } from '../inference/rejection.js'

const LIMITS = { maxPixels: 1_000_000 }
const folder = new URL('../fixtures/pixels/', import.meta.url)
const recorded = z
  .object({ images: z.record(z.string(), z.object({ width: z.int(), height: z.int(), sha256: z.string() })) })
  .parse(JSON.parse(await readFile(new URL('reference.json', folder), 'utf8')))

async function digestOf(name: string) {
  const { pixels, width, height } = await decodeImage(await readFile(new URL(name, folder)), LIMITS)
  return { width, height, sha256: createHash('sha256').update(pixels).digest('hex') }
}

describe('A decoded image', () => {
  for (const [name, expected] of Object.entries(recorded.images)) {
    it(`has the very pixels that OpenCV reads: ${name}`, async () => {
      expect(await digestOf(name)).to.deep.equal(expected)
    })
  }

  it('leaves no memory behind', async function () {
    this.timeout(60_000)
    const jpeg = await noiseJpeg(1000, 1000, { quality: 20 })
    const decodeMany = async (times: number) => {
      for (let time = 0; time < times; time++) await decodeImage(jpeg, LIMITS)
      return process.memoryUsage().rss
    }
    const before = await decodeMany(20)

    const grown = (await decodeMany(100)) - before

    expect(grown).to.be.lessThan(150 * 2 ** 20) // the rows of all of them are 286 MiB
  })

  it('is refused by its head for too many pixels, however small the file is', async () => {
    const error = await rejection(decodeImage(await noiseJpeg(1000, 1001), LIMITS))

    expect(error.code).to.equal('LF_IMAGE_TOO_LARGE')
    expect(error.message).to.equal('The image has 1000x1001 pixels; at most 1000000 are read.')
  })

  it('keeps the one error of a program that calls itself an image', async () => {
    const png = await sharp(await noiseJpeg())
      .png()
      .toBuffer()

    const error = await rejection(decodeImage(png.subarray(0, png.length / 2), LIMITS))

    expect(error.code).to.equal('LF_IMAGE_UNREADABLE')
    expect(error.message).to.match(/^The image cannot be decoded: /)
  })
})

describe('A JPEG', () => {
  const verdictOf = async (jpeg: Buffer) => {
    const decoded = await decodeImage(jpeg, LIMITS).then(
      ({ pixels }) => pixels,
      () => undefined,
    )
    const isWhole = await isWholeJpeg(jpeg, LIMITS)
    expect(isWhole).to.equal(decoded !== undefined) // the same verdict for detector, annotator and trainer
    return { isWhole, decoded }
  }

  it('has all of its rows whatever its markers and the bytes around them are', async () => {
    const jpeg = await noiseJpeg(64, 48, { quality: 75 })
    const progressive = await noiseJpeg(64, 48, { progressive: true })
    const samsung = await readFile(new URL('samsung_sos.jpg', folder))
    const { decoded } = await verdictOf(jpeg)
    const second = 4 + jpeg.readUInt16BE(4)
    const variants = {
      'with a trailer': Buffer.concat([jpeg, Buffer.from('trailer')]),
      'with a second picture behind it': Buffer.concat([jpeg, await noiseJpeg(8, 8)]),
      'without its end marker': jpeg.subarray(0, -2),
      'with half of it': jpeg.subarray(0, -1),
      'with zeros instead of it': Buffer.concat([jpeg.subarray(0, -2), Buffer.alloc(64)]),
      'with bytes between two segments': Buffer.concat([
        jpeg.subarray(0, second),
        Buffer.from([1, 2, 3]),
        jpeg.subarray(second),
      ]),
    }

    for (const [what, variant] of Object.entries(variants)) {
      const verdict = await verdictOf(variant)
      expect(verdict.isWhole, what).to.equal(true)
      expect(Buffer.compare(verdict.decoded ?? Buffer.alloc(0), decoded ?? Buffer.alloc(1)), what).to.equal(0)
    }
    for (const whole of [progressive, progressive.subarray(0, -2), samsung, samsung.subarray(0, -2)]) {
      expect((await verdictOf(whole)).isWhole).to.equal(true)
    }
  })

  it('has all of its rows although some of them are spoiled', async () => {
    const jpeg = await noiseJpeg(64, 48)
    const middle = Math.floor(jpeg.length / 2)
    const spoiled = [
      Buffer.from(jpeg).fill(0x5a, middle, middle + 40),
      Buffer.from(jpeg).fill(0xff, middle, middle + 10),
      Buffer.concat([jpeg.subarray(0, middle), Buffer.from([0xff, 0xd9])]),
    ]

    for (const one of spoiled) expect((await verdictOf(one)).isWhole).to.equal(true)
  })

  it('lacks rows wherever else it is cut', async function () {
    this.timeout(60_000)
    const jpeg = await noiseJpeg(64, 48, { quality: 60 })
    const progressive = await noiseJpeg(64, 48, { quality: 60, progressive: true })
    const cuts = [3, 4, 5, 7, 12, 20, 100, 400, jpeg.length / 2, jpeg.length - 700, jpeg.length - 100, jpeg.length - 3]
    const broken = [
      ...cuts.map((bytes) => jpeg.subarray(0, -bytes)),
      progressive.subarray(0, -300),
      Buffer.from(jpeg).fill(0, jpeg.length - 900),
      Buffer.alloc(0),
      Buffer.from('{"detail":"not found"}'),
      await sharp(jpeg).png().toBuffer(),
    ]

    const verdicts = await Promise.all(broken.map((bytes) => isWholeJpeg(bytes, LIMITS)))

    expect(verdicts).to.deep.equal(broken.map(() => false))
    for (const bytes of broken.slice(0, -1)) await rejection(decodeImage(bytes, LIMITS))
  })
})
