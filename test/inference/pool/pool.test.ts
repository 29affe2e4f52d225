import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import type { OnnxBackend } from '../../../src/inference/backends/backend.js'
import type { InferencePool, InferencePoolOptions } from '../../../src/inference/pool/pool.js'
import { plainJpeg, redOnGreen, withHeaderSize } from '../images.js'
import { rejection } from '../rejection.js'
import { usePools } from '../use-pools.js'

const categories = [
  { id: 'id-a', name: 'A', type: 'box' },
  { id: 'id-b', name: 'B', type: 'box' },
]

function fixture(name: string): string {
  return fileURLToPath(new URL(`../../fixtures/onnx/${name}`, import.meta.url))
}

describe('The inference pool', () => {
  let folder: string
  const pools = usePools()

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'loopfleet-inference-'))
  })
  afterEach(async () => {
    await rm(folder, { recursive: true })
  })

  async function start(
    model: string,
    options: Omit<Partial<InferencePoolOptions>, 'backend'> & { backend?: Partial<OnnxBackend> } = {},
    threadFile?: URL,
  ): Promise<InferencePool> {
    const backend = { kind: 'onnx' as const, modelFile: fixture(model), categories, ...options.backend }
    return await pools.start({ ...options, backend }, threadFile)
  }

  async function decoderFile(content: object): Promise<string> {
    const path = join(folder, 'decoder.json')
    await writeFile(path, JSON.stringify(content))
    return path
  }

  const grid = { layout: 'grid', input: { width: 64, height: 48 }, stride: 8, threshold: 0.5, nms_iou: 0.5 }

  describe('on an image', () => {
    it('answers boxes of a grid model in whole pixels of the image, cut at its border', async () => {
      const pool = await start('red-is-an-object.onnx', {
        threads: 1,
        backend: { decoderFile: await decoderFile(grid) },
      })
      // One cell of 80x80 pixels at column 0, row 2: its centre is (40, 200), its box 24x16 input pixels, x10 each way.
      const bytes = await redOnGreen(640, 480, { left: 0, top: 160, width: 80, height: 80 })

      const { detections, threadId } = await pool.detect({ bytes })

      expect(threadId).to.be.oneOf([...pool.threadIds])
      expect(detections.box_detections).to.have.lengthOf(1)
      const { confidence, ...box } = detections.box_detections[0] ?? { confidence: 0 }
      expect(box).to.deep.equal({ category_name: 'A', category_id: 'id-a', x: 0, y: 120, width: 160, height: 160 })
      expect(confidence).to.be.within(0.9, 1)
      expect(detections.point_detections).to.deep.equal([])
    })

    it('answers the centre for point categories, by type or by decoder.json', async () => {
      const points = {
        backend: {
          categories: [
            { id: 'id-a', name: 'A', type: 'point' },
            { id: 'id-b', name: 'B' },
          ],
        },
      }
      const byType = await start('red-is-an-object.onnx', {
        threads: 1,
        backend: { ...points.backend, decoderFile: await decoderFile(grid) },
      })
      const byFile = await start('red-is-an-object.onnx', {
        threads: 1,
        backend: { decoderFile: await decoderFile({ ...grid, point_categories: ['A'] }) },
      })
      const bytes = await redOnGreen(640, 480, { left: 320, top: 160, width: 80, height: 80 })

      for (const pool of [byType, byFile]) {
        const { detections } = await pool.detect({ bytes })
        expect(detections.box_detections).to.deep.equal([])
        expect(detections.point_detections[0]).to.include({ category_id: 'id-a', x: 360, y: 200 })
      }
    })

    it('reads YOLO v5 and v8 without a decoder.json, through the grey frame and back', async () => {
      const v5 = await start('constant-yolov5.onnx', { threads: 1 })
      const v8 = await start('constant-yolov8.onnx', { threads: 1, backend: { resolution: 64 } })
      const bytes = await plainJpeg(640, 480, '#ff0000')

      const [first, second] = (await v5.detect({ bytes })).detections.box_detections

      expect(first).to.include({ category_name: 'B', x: 220, y: 190, width: 200, height: 100 })
      expect(first?.confidence).to.be.closeTo(0.9, 1e-6)
      expect(second).to.include({ category_name: 'A', x: 230, y: 190, width: 200, height: 100 })
      expect((await v5.detect({ bytes })).detections.box_detections).to.have.lengthOf(2)
      const v8Names = (await v8.detect({ bytes })).detections.box_detections.map(({ category_name }) => category_name)
      expect(v8Names).to.include.members(['A', 'B'])
    })

    it('reads end-to-end models, whose boxes are finished', async () => {
      const pool = await start('constant-end-to-end.onnx', { threads: 1 })

      const { box_detections } = (await pool.detect({ bytes: await plainJpeg(640, 480, '#ff0000') })).detections

      expect(box_detections.map(({ category_name }) => category_name)).to.deep.equal(['B', 'A'])
      expect(box_detections[0]).to.include({ x: 220, y: 190, width: 200, height: 100 })
    })

    it('reads segmentation models as outlines, or as boxes and points where the category says so', async () => {
      const bytes = await plainJpeg(128, 128, '#ff0000')
      const types = [null, 'segmentation', 'box', 'point']
      const found = await Promise.all(
        types.map(async (type) => {
          const typed = ['A', 'B'].map((name) => ({ id: `id-${name}`, name, type }))
          const backend = { categories: typed }
          const pool = await start('disc-mask.onnx', { threads: 1, backend, batch: { maxImages: 4 } })
          const [{ detections } = { detections: undefined }] = await pool.detectBatch([{ bytes }, { bytes }, { bytes }])
          return detections
        }),
      )

      const [untyped, shapes, boxes, points] = found
      expect(untyped).to.deep.equal(shapes)
      expect(shapes?.segmentation_detections.map(({ category_name }) => category_name)).to.deep.equal(['A', 'B'])
      // A disc of radius 16 in the middle of 64x64, where the image lies at half its size.
      const disc = shapes?.segmentation_detections[0]?.shape.points ?? []
      expect(Math.min(...disc.map(({ x }) => x))).to.be.closeTo(32, 2)
      expect(Math.max(...disc.map(({ x }) => x))).to.be.closeTo(96, 2)
      expect(disc.every(({ x, y }) => Number.isInteger(x) && y >= 30 && y <= 98)).to.equal(true)
      expect(shapes?.box_detections).to.deep.equal([]) // one whose mask is empty is nothing
      expect(boxes?.box_detections).to.have.lengthOf(3)
      expect(boxes?.segmentation_detections).to.deep.equal([])
      expect(points?.point_detections).to.have.lengthOf(3)
    })

    it('answers the best classes of a classifier, as percent when asked to', async () => {
      const three = ['x', 'y', 'z'].map((name) => ({ id: `id-${name}`, name, type: 'classification' }))
      const pool = await start('constant-classes.onnx', { confidence: 'percent', backend: { categories: three } })

      const { detections } = await pool.detect({ bytes: await plainJpeg(20, 30, '#fff') })

      expect(detections.classification_detections).to.have.lengthOf(1)
      expect(detections.classification_detections[0]).to.include({ category_name: 'y', category_id: 'id-y' })
      expect(detections.classification_detections[0]?.confidence).to.be.closeTo(88.1, 0.1)
    })

    it('reads a file as it reads bytes, and leaves the bytes usable', async () => {
      const pool = await start('constant-yolov5.onnx', { threads: 1 })
      const bytes = await plainJpeg(64, 64, '#ff0000')
      const path = join(folder, 'image.jpg')
      await writeFile(path, bytes)

      const fromFile = await pool.detect({ path })
      const fromBytes = await pool.detect({ bytes })

      expect(fromFile.detections).to.deep.equal(fromBytes.detections)
      expect(bytes.byteLength).to.be.greaterThan(0)
    })

    it('answers a bad image with an error and the next good one from the same threads', async () => {
      const pool = await start('constant-yolov5.onnx')
      const before = [...pool.threadIds]
      const good = await plainJpeg(64, 64, '#ff0000')
      const bad = [good.subarray(0, 60), Buffer.alloc(0), Buffer.from('text'), withHeaderSize(good, 30_000, 30_000)]

      const codes = await Promise.all(bad.map(async (bytes) => (await rejection(pool.detect({ bytes }))).code))

      const unreadable = 'LF_IMAGE_UNREADABLE'
      expect(codes).to.deep.equal([unreadable, unreadable, unreadable, 'LF_IMAGE_TOO_LARGE'])
      const answers = await Promise.all([good, good, good, good].map((bytes) => pool.detect({ bytes })))
      expect(answers.map(({ detections }) => detections.box_detections.length)).to.deep.equal([2, 2, 2, 2])
      expect(pool.threadIds).to.deep.equal(before)
    })
  })

  describe('when told to', () => {
    it('removes a waiting image from the queue when its signal aborts, and finishes the others', async () => {
      const pool = await start('constant-yolov5.onnx', { threads: 1 })
      const bytes = await plainJpeg(640, 480, '#ff0000')
      const controller = new AbortController()
      const reason = new Error('no longer wanted')
      const kept = [pool.detect({ bytes }), pool.detect({ bytes })]
      const dropped = pool.detect({ bytes }, { signal: controller.signal }).catch((error: unknown) => error)
      expect(pool.inFlight).to.equal(3)

      controller.abort(reason)

      expect(pool.inFlight).to.equal(2)
      expect(await dropped).to.equal(reason)
      expect(await Promise.all(kept)).to.have.lengthOf(2)
    })

    it('lets an image that runs finish when its signal aborts, so that its thread lives on', async () => {
      const pool = await start('constant-yolov5.onnx', { threads: 1 })
      const bytes = await plainJpeg(640, 480, '#ff0000')
      const controller = new AbortController()
      const running = pool.detect({ bytes }, { signal: controller.signal }).catch((error: unknown) => error)
      await Promise.resolve()

      controller.abort(new Error('no longer wanted'))
      await running
      await pool.detect({ bytes })

      expect(pool.threadIds).to.have.lengthOf(1)
    })

    it('takes no image for a signal that has aborted already', async () => {
      const pool = await start('constant-yolov5.onnx', { threads: 1 })
      const reason = new Error('too late')

      const thrown = await pool.detect({ path: 'any' }, { signal: AbortSignal.abort(reason) }).catch((e: unknown) => e)

      expect(thrown).to.equal(reason)
      expect(pool.inFlight).to.equal(0)
    })

    it('refuses an image when too many wait', async () => {
      const pool = await start('constant-yolov5.onnx', { threads: 1, maxQueue: 1 })
      const bytes = await plainJpeg(64, 64, '#ff0000')
      const accepted = [pool.detect({ bytes }), pool.detect({ bytes })]

      const error = await rejection(pool.detect({ bytes }))

      expect(error.code).to.equal('LF_INFERENCE_BUSY')
      expect(await Promise.all(accepted)).to.have.lengthOf(2)
    })

    it('answers every image it has taken before it closes, and takes none after', async () => {
      const pool = await start('constant-yolov5.onnx')
      const bytes = await plainJpeg(640, 480, '#ff0000')
      const taken = Array.from({ length: 30 }, () => pool.detect({ bytes }))

      const closed = pool.close()
      const late = await rejection(pool.detect({ bytes }))
      await closed
      await pool.close()

      expect(late.code).to.equal('LF_INFERENCE_CLOSED')
      expect(await Promise.all(taken)).to.have.lengthOf(30)
      expect(pool.inFlight).to.equal(0)
    })
  })

  describe('with a bad model', () => {
    async function refusal(model: string, backend: Partial<OnnxBackend> = {}) {
      return await rejection(start(model, { backend }))
    }

    it('is not created when the model is missing or broken, and says which file', async () => {
      const broken = join(folder, 'broken.onnx')
      await writeFile(broken, 'this is no protobuf')

      for (const modelFile of [broken, join(folder, 'missing.onnx')]) {
        const error = await refusal('', { modelFile })
        expect(error.code).to.equal('LF_MODEL_UNREADABLE')
        expect(error.message).to.contain(modelFile)
      }
    })

    it('is not created when the output does not fit the categories', async () => {
      const error = await refusal('constant-yolov5.onnx', { categories: [{ id: 'only', name: 'only' }] })

      expect(error.code).to.equal('LF_MODEL_OUTPUT')
      expect(error.message).to.contain('[1, 9, 7]').and.to.contain('for 1 categories')
    })

    it('is not created when decoder.json is wrong or contradicts the model', async () => {
      const typo = await refusal('red-is-an-object.onnx', { decoderFile: await decoderFile({ ...grid, strid: 8 }) })
      expect(typo.code).to.equal('LF_DECODER_INVALID')
      const input = { width: 320, height: 240 }
      const other = await refusal('red-is-an-object.onnx', { decoderFile: await decoderFile({ ...grid, input }) })
      expect(other.code).to.equal('LF_DECODER_INVALID')
      expect(other.message).to.contain('320x240').and.to.contain('64x48')
    })

    it('is not created for half precision, nor without any input size', async () => {
      const half = await refusal('half-precision.onnx')
      expect(half.code).to.equal('LF_MODEL_UNREADABLE')
      expect(half.message).to.contain('float16')
      const sizeless = await refusal('constant-yolov8.onnx')
      expect(sizeless.message).to.contain('give a resolution')
    })

    for (const [name, shape] of [
      ['channels-last', '[1, 32, 32, 3]'],
      ['channels-last-of-any-size', '[batch, height, width, 3]'],
    ] as const) {
      it(`is not created when its channels are the last axis of ${shape}`, async () => {
        const error = await refusal(`${name}.onnx`, { resolution: 32 })

        expect(error.code).to.equal('LF_MODEL_UNREADABLE')
        expect(error.message).to.contain(`takes ${shape}, channels last; export it with channels first`)
      })
    }

    it('is not created when the model loads but cannot run', async () => {
      const error = await refusal('runs-only-8-wide.onnx', { resolution: 16 })

      expect(error.code).to.equal('LF_INFERENCE_FAILED')
      expect(error.message).to.contain('[1, 3, 16, 16]')
    })
  })
})
