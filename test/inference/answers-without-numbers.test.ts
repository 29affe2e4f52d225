import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { assertNumbers } from '../../src/inference/decoders/numbers.js'
import { plainJpeg, redOnGreen } from './images.js'
import { rejection } from './rejection.js'
import { usePools } from './use-pools.js'

const [NAN, INF] = [Number.NaN, Number.POSITIVE_INFINITY]
const categories = [
  { id: 'id-a', name: 'A', type: 'box' },
  { id: 'id-b', name: 'B', type: 'box' },
]

describe('A model whose answers hold no numbers', () => {
  const pools = usePools()

  const start = (name: string, more: readonly (typeof categories)[number][] = []) =>
    pools.start({
      threads: 1,
      backend: {
        kind: 'onnx',
        modelFile: fileURLToPath(new URL(`../fixtures/onnx/${name}.onnx`, import.meta.url)),
        categories: [...categories, ...more],
      },
    })

  for (const [name, more] of [
    ['nan-everywhere'],
    ['nan-finished'],
    ['nan-scores'],
    ['nan-places'],
    ['nan-in-one-category'],
    ['nan-classes', [{ id: 'id-c', name: 'C', type: 'classification' }]],
  ] as const) {
    it(`is refused: ${name}`, async () => {
      const error = await rejection(start(name, more))

      expect(error.code).to.equal('LF_MODEL_OUTPUT')
      expect(error.message).to.contain('answers NaN or infinity instead of numbers').and.to.contain('half precision')
    })
  }

  it('of one image only fails on that image, and is taken although grey is such an image', async () => {
    const pool = await start('divides-by-contrast')
    const wall = { bytes: await plainJpeg(64, 64, '#808080') }
    const picture = { bytes: await redOnGreen(64, 64, { left: 0, top: 0, width: 20, height: 20 }) }

    const before = await pool.detect(picture)
    const error = await rejection(pool.detect(wall))
    const after = await pool.detect(picture)

    expect(error.code).to.equal('LF_MODEL_OUTPUT')
    for (const { detections } of [before, after]) expect(detections.box_detections).to.have.lengthOf(1)
  })

  it('in single entries goes on without these', () => {
    const rows = [
      [10, 10, 4, 4, NAN, INF],
      [NAN, INF, 4, 4, 0.5, 0.1],
      [10, 10, NAN, 4, 0.5, 0.1],
      [10, 10, 4, INF, 0.5, 0.1],
    ]
    const columns = Float32Array.from([0, 1, 2, 3, 4, 5].flatMap((field) => rows.map((row) => row[field] ?? 0)))

    assertNumbers({ dims: [1, 6, 4], data: columns }, 'yolov8')
    assertNumbers({ dims: [1, 4, 6], data: Float32Array.from(rows.flat()) }, 'end-to-end')
    assertNumbers({ dims: [1, 3], data: Float32Array.of(NAN, 1, INF) }, 'classification')
    assertNumbers({ dims: [1, 0, 6], data: new Float32Array() }, 'end-to-end') // nothing found
  })

  it('in its masks alone is refused as well', () => {
    const boxes = { dims: [1, 8, 1], data: Float32Array.of(10, 10, 4, 4, 0.5, 0.1, 1, 1) }
    const masks = { dims: [1, 2, 2, 2], data: Float32Array.of(1, 1, 1, 1, NAN, NAN, NAN, NAN) }

    expect(() => assertNumbers({ ...boxes, masks }, 'yolov8')).to.throw('instead of numbers in 1 field;')
  })

  it('in one plane of a grid is refused', () => {
    const data = new Float32Array(7 * 4).fill(0.5).fill(NAN, 4, 8)

    expect(() => assertNumbers({ dims: [1, 7, 2, 2], data }, 'grid')).to.throw('in 1 field;')
  })
})
