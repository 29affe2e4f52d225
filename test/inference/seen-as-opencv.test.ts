import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import sharp from 'sharp'
import { silentLogger } from '../../src/base/logger/logger.js'
import { createInferencePool, type InferencePool } from '../../src/inference/pool/pool.js'

const fixture = (path: string) => fileURLToPath(new URL(`../fixtures/${path}`, import.meta.url))
/** What the model answers as confidences: means of the channels, and of red in two halves. */
const NAMES = ['R', 'G', 'B', 'leftR', 'topR'] as const

describe('A model that answers the means of its input', () => {
  let pool: InferencePool
  before(async () => {
    const categories = NAMES.map((name) => ({ id: name, name, type: 'classification' }))
    const backend = { kind: 'onnx' as const, modelFile: fixture('means/model.onnx'), categories }
    pool = await createInferencePool({ backend, threads: 2 }, { log: silentLogger() })
  })
  after(() => pool.close())

  /** In quarters of a level of 256. */
  async function meansOf(bytes: Uint8Array): Promise<number[]> {
    const { detections } = await pool.detect({ bytes })
    return NAMES.map((name) => {
      const found = detections.classification_detections.find(({ category_name }) => category_name === name)
      return Math.round((found?.confidence ?? Number.NaN) * 255 * 4) / 4
    })
  }

  it('sees a picture upright that its EXIF data turn', async () => {
    expect(await meansOf(await readFile(fixture('pixels/exif6.jpg')))).to.deep.equal([115, 89.75, 90, 100, 205])
  })

  it('sees the numbers of a file, whatever its colour profile is', async () => {
    expect(await meansOf(await readFile(fixture('pixels/icc_p3.jpg')))).to.deep.equal([212, 61, 68, 212, 212])
  })

  it('sees the same in a PNG and a WebP with such a profile', async () => {
    const pixels = Buffer.alloc(64 * 64 * 3, Buffer.from([212, 61, 68]))
    const image = sharp(pixels, { raw: { width: 64, height: 64, channels: 3 } }).withIccProfile('p3', { attach: true })
    const { data: numbers } = await sharp(await image.clone().png().toBuffer(), { ignoreIcc: true })
      .raw()
      .toBuffer({ resolveWithObject: true })
    const stored = [...numbers.subarray(0, 3)]

    for (const bytes of [
      await image.clone().png().toBuffer(),
      await image.clone().webp({ lossless: true }).toBuffer(),
    ]) {
      expect((await meansOf(bytes)).slice(0, 3)).to.deep.equal(stored)
    }
  })

  for (const orientation of [1, 2, 3, 4, 5, 6, 7, 8]) {
    it(`sees what orientation ${orientation} means, in each format`, async () => {
      const half = Buffer.alloc(64 * 64 * 3)
      for (let y = 0; y < 64; y++) half.fill(y < 20 ? 250 : 30, y * 192, y * 192 + (y < 40 ? 96 : 192))
      const tagged = sharp(half, { raw: { width: 64, height: 64, channels: 3 } }).withMetadata({ orientation })
      const upright = await sharp(await tagged.clone().png().toBuffer(), { autoOrient: true })
        .png()
        .toBuffer()
      const expected = await meansOf(upright)

      expect(await meansOf(await tagged.clone().png().toBuffer())).to.deep.equal(expected)
      expect(await meansOf(await tagged.clone().webp({ lossless: true }).toBuffer())).to.deep.equal(expected)
      const jpeg = await meansOf(await tagged.clone().jpeg({ quality: 100, chromaSubsampling: '4:4:4' }).toBuffer())
      for (const [index, mean] of jpeg.entries()) expect(mean).to.be.closeTo(expected[index] ?? Number.NaN, 1)
    })
  }
})
