import { readFile } from 'node:fs/promises'
import { expect } from 'chai'
import sharp from 'sharp'
import { decodeImage } from '../../../src/images/pixels/decode-image.js'
import { hasEveryBlock } from '../../../src/images/pixels/jpeg-blocks.js'
import { noiseJpeg } from '../../helpers/jpegs.js'
import { createRandom } from '../../helpers/random.js'
import { times } from '../../helpers/thorough.js'

const folder = new URL('../../fixtures/pixels/', import.meta.url)
const fixture = (name: string) => readFile(new URL(name, folder))
const END = Buffer.from([0xff, 0xd9])
const scanOf = (jpeg: Buffer) => jpeg.lastIndexOf(Buffer.from([0xff, 0xda]))

const scanIn = (jpeg: Buffer) => jpeg.subarray(scanOf(jpeg))

async function sources(): Promise<readonly Buffer[]> {
  const names = [
    '420',
    '422',
    '444',
    'grey',
    'cmyk',
    'ycck',
    'restarts',
    'progressive',
    'samsung_sos',
    'exif6',
    'turned-6',
  ]
  const [small, smooth] = [await noiseJpeg(64, 48), await noiseJpeg(97, 61, { quality: 10, optimizeCoding: true })]
  return [
    small,
    smooth,
    Buffer.concat([small, smooth]),
    ...(await Promise.all(names.map((name) => fixture(`${name}.jpg`)))),
  ]
}

const ROUNDS = times(500, 12_000)

describe('The blocks of a JPEG', () => {
  for (const name of [
    '420',
    '422',
    '444',
    'grey',
    'cmyk',
    'cmyk-without-adobe',
    'ycck',
    'restarts',
    'icc_p3',
    'exif6',
  ]) {
    it(`are counted without a decoder: ${name}.jpg`, async () => {
      expect(hasEveryBlock(await fixture(`${name}.jpg`))).to.equal(true)
    })
  }

  it('are counted whatever the sampling, the tables and the size are', async () => {
    const common = [
      await noiseJpeg(1, 1),
      await noiseJpeg(17, 9, { quality: 100 }),
      await noiseJpeg(97, 61, { quality: 1 }),
      await noiseJpeg(97, 61, { chromaSubsampling: '4:4:4', optimizeCoding: true }),
      await sharp({ create: { width: 500, height: 1, channels: 3, background: 'grey' } })
        .jpeg()
        .toBuffer(),
    ]

    for (const jpeg of common) expect(hasEveryBlock(jpeg)).to.equal(true)
    for (const jpeg of common) expect(hasEveryBlock(Buffer.concat([jpeg, Buffer.from('trailer')]))).to.equal(true)
  })

  it('are left to the decoder where the file is progressive, large or has no end marker', async () => {
    const jpeg = await noiseJpeg()
    const large = await noiseJpeg(600, 400, { quality: 100 })

    expect(large.length).to.be.greaterThan(256 * 1024)
    for (const other of [
      await fixture('progressive.jpg'),
      await fixture('samsung_sos.jpg'),
      large,
      jpeg.subarray(0, -2),
    ]) {
      expect(hasEveryBlock(other)).to.equal(false)
    }
  })

  it('are missing wherever an end marker closes the data early', async () => {
    for (const name of ['420', 'grey', 'cmyk', 'restarts']) {
      const jpeg = await fixture(`${name}.jpg`)
      for (let at = scanOf(jpeg) + 20; at < jpeg.length - 3; at += 7) {
        expect(hasEveryBlock(Buffer.concat([jpeg.subarray(0, at), END])), `${name} at ${at}`).to.equal(false)
      }
    }
  })

  it('are never counted in a file that the decoder refuses, however it was spoiled', async function () {
    this.timeout(60_000 + ROUNDS * 50)
    const seed = Number(process.env.SEED ?? 1)
    const random = createRandom(seed)
    const below = (limit: number) => Math.floor(random() * limit)
    const bases = await sources()
    const other = () => bases[below(bases.length)] ?? END
    const written = (jpeg: Buffer, limit: number) => {
      const copy = Buffer.from(jpeg)
      for (let count = 1 + below(4); count > 0; count--) copy[3 + below(limit - 3)] = below(256)
      return copy
    }
    const within = (jpeg: Buffer) => scanOf(jpeg) + below(jpeg.length - scanOf(jpeg))
    const spoil = [
      (jpeg: Buffer) => jpeg.subarray(0, below(jpeg.length)),
      (jpeg: Buffer) => Buffer.concat([jpeg.subarray(0, within(jpeg)), END]),
      (jpeg: Buffer) => written(jpeg, jpeg.length),
      (jpeg: Buffer) => written(jpeg, scanOf(jpeg) + 14),
      (jpeg: Buffer) => Buffer.concat([jpeg.subarray(0, within(jpeg)), jpeg.subarray(within(jpeg))]),
      (jpeg: Buffer) => Buffer.concat([jpeg.subarray(0, within(jpeg)), other().subarray(-below(400))]),
      (jpeg: Buffer) => Buffer.concat([jpeg.subarray(0, scanOf(jpeg)), scanIn(other())]),
    ]
    let counted = 0

    for (let round = 0; round < ROUNDS; round++) {
      const jpeg = spoil[round % spoil.length]?.(other()) ?? END
      if (!hasEveryBlock(jpeg)) continue
      counted += 1
      await decodeImage(jpeg, { maxPixels: 1e7 }).catch((error: unknown) => {
        expect.fail(`seed ${seed}, round ${round}: ${error}`)
      })
    }

    expect(counted).to.be.greaterThan(ROUNDS / 10)
  })
})
