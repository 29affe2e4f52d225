import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { expect } from 'chai'
import sharp from 'sharp'
import { z } from 'zod'
import { decodeImage, isWholeJpeg } from '../../../src/images/pixels/decode-image.js'
import { noiseJpeg } from '../../helpers/jpegs.js'
import { rejection } from '../../inference/rejection.js'

const LIMITS = { maxPixels: 1_000_000 }
const folder = new URL('../../fixtures/pixels/', import.meta.url)
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

describe('A PNG', () => {
  for (const orientation of [3, 8]) {
    it(`is turned by ${orientation} wherever its EXIF block stands`, async () => {
      const png = await readFile(new URL(`turned-${orientation}.png`, folder))
      const [exif, end] = [png.indexOf('eXIf') - 4, png.indexOf('IEND') - 4]
      const block = png.subarray(exif, exif + 12 + png.readUInt32BE(exif))
      const rest = [png.subarray(0, exif), png.subarray(exif + block.length, end)]
      const late = Buffer.concat([...rest, block, png.subarray(end)])

      expect(await decodeImage(late, LIMITS)).to.deep.equal(await decodeImage(png, LIMITS))
    })
  }
})

/** The same JPEG with an EXIF orientation of 6. */
function turned(jpeg: Buffer): Buffer {
  const exif = Buffer.from('ffe100224578696600004d4d002a00000008000101120003000000010006000000000000', 'hex')
  return Buffer.concat([jpeg.subarray(0, 2), exif, jpeg.subarray(2)])
}

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
    ]

    for (const one of spoiled) expect((await verdictOf(one)).isWhole).to.equal(true)
  })

  it('has all of its rows although the last ones are as grey as what a decoder makes up', async () => {
    const grey = { r: 128, g: 128, b: 128 }
    const jpeg = await sharp(await noiseJpeg(97, 61))
      .extend({ bottom: 40, right: 24, background: grey })
      .jpeg()
      .toBuffer()
    const wall = await sharp({ create: { width: 97, height: 61, channels: 3, background: grey } })
      .jpeg()
      .toBuffer()

    for (const whole of [jpeg, wall, turned(jpeg), Buffer.concat([jpeg, Buffer.alloc(64)]), jpeg.subarray(0, -2)]) {
      expect((await verdictOf(whole)).isWhole).to.equal(true)
    }
  })

  it('lacks rows although an end marker closes it', async () => {
    const end = Buffer.from([0xff, 0xd9])
    const [jpeg, progressive] = [await noiseJpeg(97, 61), await noiseJpeg(97, 61, { progressive: true })]
    const inks = await sharp(jpeg).toColourspace('cmyk').jpeg().toBuffer()
    const small = await sharp(jpeg).resize(16, 16).jpeg().toBuffer()
    const head = small.indexOf(Buffer.from([0xff, 0xc0]))
    const firstScan = progressive.indexOf(Buffer.from([0xff, 0xda]))
    const half = (whole: Buffer) => Buffer.concat([whole.subarray(0, whole.length / 2), end])
    const claims = Buffer.from(small)
    claims.writeUInt16BE(900, head + 5)
    const broken = {
      'half of it': half(jpeg),
      'half of it, turned': half(turned(jpeg)),
      'half of it, with a second picture behind it': Buffer.concat([half(jpeg), jpeg]),
      'three quarters of it': Buffer.concat([jpeg.subarray(0, (jpeg.length * 3) / 4), end]),
      'a first scan that is cut': Buffer.concat([progressive.subarray(0, firstScan + 50), end]),
      'half of it in inks': half(inks),
      'a head that claims more rows': claims,
    }

    for (const [what, one] of Object.entries(broken)) expect((await verdictOf(one)).isWhole, what).to.equal(false)
  })

  it('lacks rows where it is cut just before a restart marker, with an end marker and without', async () => {
    const jpeg = await readFile(new URL('restarts.jpg', folder))
    const end = Buffer.from([0xff, 0xd9])
    const restarts = [0, 1, 2, 3, 4].map((number) => jpeg.indexOf(Buffer.from([0xff, 0xd0 + number]), 600))

    expect((await verdictOf(jpeg)).isWhole).to.equal(true)
    expect((await verdictOf(jpeg.subarray(0, -2))).isWhole).to.equal(true)
    for (const at of restarts) expect((await verdictOf(jpeg.subarray(0, at))).isWhole, `${at}`).to.equal(false)
    // The last two are in the last row, which is only spoiled.
    for (const at of restarts.slice(0, 3)) {
      expect((await verdictOf(Buffer.concat([jpeg.subarray(0, at), end]))).isWhole, `${at}`).to.equal(false)
    }
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
