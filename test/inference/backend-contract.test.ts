import { execFile } from 'node:child_process'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect } from 'chai'
import sharp from 'sharp'
import { removeTree } from '../../src/base/files.js'
import { silentLogger } from '../../src/base/logger/logger.js'
import { isImageError } from '../../src/images/errors.js'
import type { ImageSource } from '../../src/images/image-source.js'
import { type BackendChoice, backendOf } from '../../src/inference/backends/model-folder.js'
import type { DetectResult } from '../../src/inference/pool/inference-pool.js'
import { createInferencePool, type InferencePool } from '../../src/inference/pool/pool.js'
import { categorySchema } from '../../src/loop/protocol/index.js'
import { projectRoot } from '../helpers/project-root.js'
import { redOnGreen, withHeaderSize } from './images.js'
import { rejection } from './rejection.js'

const examples = join(projectRoot(), 'examples')
const modelJson = { categories: [categorySchema.parse({ id: 'id-red', name: 'red', type: 'box' })], resolution: null }
/** Where the red square of 16 pixels lies: its centre is (40, 24). */
const SQUARE = { left: 32, top: 16, width: 16, height: 16 }

const onnx = async (folder: string): Promise<BackendChoice> => {
  const python = join(examples, 'shapes-trainer/.venv/bin/python')
  await promisify(execFile)(python, [join(examples, 'detector-onnx/make_model.py'), folder])
  return { kind: 'onnx' }
}
const backends: Record<string, (folder: string) => Promise<BackendChoice>> = {
  'an ONNX file': onnx,
  'an ONNX file, in batches': onnx,
  'a JavaScript module': async () => ({ kind: 'module', file: join(examples, 'detector-module/detector.mjs') }),
  'a Python program': async (folder) => ({
    kind: 'program',
    command: ['python3', join(examples, 'detector-program/detector.py')],
    cwd: folder,
    env: { PATH: '/usr/local/bin:/usr/bin:/bin' },
  }),
}

for (const [name, choose] of Object.entries(backends)) {
  describe(`A detector backend: ${name}`, () => {
    let folder: string
    let pool: InferencePool
    let jpeg: Buffer

    before(async () => {
      folder = await mkdtemp(join(tmpdir(), 'loopfleet-backend-'))
      const backend = await backendOf(folder, modelJson, await choose(folder))
      pool = await createInferencePool(
        { backend, threads: 1, maxQueue: 8, maxPixels: 1_000_000 },
        { log: silentLogger() },
      )
      jpeg = await redOnGreen(64, 48, SQUARE)
    })
    after(async () => {
      await pool.close()
      await removeTree(folder)
    })

    it('finds the same in a file, in bytes, and in pixels with and without alpha', async () => {
      const path = join(folder, 'image.jpg')
      await writeFile(path, jpeg)
      const images: ImageSource[] = [{ path }, { bytes: jpeg }, await pixelsOf(jpeg, 3), await pixelsOf(jpeg, 4)]

      for (const image of images) expectSquare(await pool.detect(image))
    })

    it('finds nothing in a grey image, and leaves memory alone that may not be moved', async () => {
      const pixels = new Uint8Array(64 * 48).fill(100)

      const { detections } = await pool.detect({ pixels, width: 64, height: 48, channels: 1 })

      expect(detections.box_detections).to.deep.equal([])
      expect(pixels.byteLength).to.equal(64 * 48)
    })

    it('may be given the memory of an image for good', async () => {
      const { pixels, ...rest } = await pixelsOf(jpeg, 3)

      expectSquare(await pool.detect({ pixels: Uint8Array.from(pixels), ...rest }, { mayMove: true }))
    })

    it('says which images are bad, in a batch or alone, and answers the good ones after them', async () => {
      const bad: ImageSource[] = [
        { bytes: jpeg.subarray(0, 60) },
        { bytes: new Uint8Array() },
        { bytes: Buffer.from('text') },
        { bytes: withHeaderSize(jpeg, 30_000, 30_000) },
        { path: join(folder, 'missing.jpg') },
        { pixels: new Uint8Array(10), width: 64, height: 48, channels: 3 },
      ]

      for (const image of bad) {
        expect(isImageError(await rejection(pool.detect(image)))).to.equal(true)
        expect(isImageError(await rejection(pool.detectBatch([{ bytes: jpeg }, image])))).to.equal(true)
      }
      expectSquare(await pool.detect({ bytes: jpeg }))
    })

    it('answers a batch in order', async () => {
      const grey: ImageSource = { pixels: new Uint8Array(64 * 48), width: 64, height: 48, channels: 1 }

      const answers = await pool.detectBatch([{ bytes: jpeg }, grey, { bytes: jpeg }, grey])

      expect(answers.map(({ detections }) => detections.box_detections.length)).to.deep.equal([1, 0, 1, 0])
    })

    it('answers in time that an image was not done by its deadline, and works on', async () => {
      const late = Array.from({ length: 4 }, () => rejection(pool.detect({ bytes: jpeg }, { deadlineMs: 0 })))

      const codes = (await Promise.all(late)).map(({ code }) => code)

      expect(new Set(codes)).to.deep.equal(new Set(['LF_INFERENCE_DEADLINE']))
      expectSquare(await pool.detect({ bytes: jpeg }, { deadlineMs: 20_000 }))
    })

    it('refuses what is too much for its queue, whole batches too, and says when to come again', async () => {
      const taken = Array.from({ length: 9 }, () => pool.detect({ bytes: jpeg }))

      const one = await rejection(pool.detect({ bytes: jpeg }))
      const batch = await rejection(pool.detectBatch([{ bytes: jpeg }, { bytes: jpeg }]))

      for (const error of [one, batch]) {
        expect(error.code).to.equal('LF_INFERENCE_BUSY')
        expect(error.failure).to.equal('transient')
        expect(error.details.retryAfterSeconds).to.be.within(1, 60)
      }
      for (const answer of await Promise.all(taken)) expectSquare(answer)
    })

    it('forgets an image whose client has gone', async () => {
      const controller = new AbortController()
      const taken = pool.detect({ bytes: jpeg })
      const gone = pool.detect({ bytes: jpeg }, { signal: controller.signal }).catch((error: unknown) => error)

      controller.abort(new Error('gone'))

      expect(await gone).to.have.property('message', 'gone')
      expectSquare(await taken)
    })
  })
}

function expectSquare({ detections }: DetectResult): void {
  expect(detections.box_detections).to.have.lengthOf(1)
  const [box] = detections.box_detections
  expect(box).to.include({ category_id: 'id-red', category_name: 'red' })
  expect(box?.confidence).to.be.within(0.5, 1)
  if (box === undefined) return
  expect(box.x + box.width / 2).to.be.closeTo(40, 8)
  expect(box.y + box.height / 2).to.be.closeTo(24, 8)
}

async function pixelsOf(jpeg: Buffer, channels: 3 | 4) {
  const image = channels === 4 ? sharp(jpeg).ensureAlpha() : sharp(jpeg)
  const { data, info } = await image.raw().toBuffer({ resolveWithObject: true })
  return { pixels: new Uint8Array(data), width: info.width, height: info.height, channels }
}
