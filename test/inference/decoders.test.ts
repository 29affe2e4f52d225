import { expect } from 'chai'
import { InferenceError } from '../../src/inference/basics/errors.js'
import { decodeClassification } from '../../src/inference/decoders/classification.js'
import { decodeGrid } from '../../src/inference/decoders/grid.js'
import type { ModelOutput } from '../../src/inference/decoders/model-output.js'
import { decodeYolo } from '../../src/inference/decoders/yolo.js'

const CELLS = 4 * 3
const gridOptions = { input: { width: 32, height: 24 }, stride: 8, threshold: 0.3, iouThreshold: 0.5, categoryCount: 2 }

/** A grid of 4x3 cells in which the given cells see a 16x16 box around their centre. */
function grid(cells: { column: number; row: number; objectness: number; categories: number[]; side?: number }[]) {
  const data = new Float32Array(7 * CELLS)
  for (const { column, row, objectness, categories, side = 8 } of cells) {
    const values = [objectness, ...categories, side, side, side, side]
    for (const [channel, value] of values.entries()) data[channel * CELLS + row * 4 + column] = value
  }
  return { dims: [1, 7, 3, 4], data }
}

function table(rows: number[][]): ModelOutput {
  return { dims: [1, rows.length, rows[0]?.length ?? 0], data: Float32Array.from(rows.flat()) }
}

function transposed({ dims, data }: ModelOutput): ModelOutput {
  const [, rows = 0, columns = 0] = dims
  const turned = Array.from({ length: columns }, (_, column) =>
    Array.from({ length: rows }, (_, row) => data[row * columns + column] ?? 0),
  )
  return table(turned)
}

describe('decodeGrid', () => {
  it('reads a box around the centre of its cell, with objectness as confidence and the most probable category', () => {
    const output = grid([{ column: 2, row: 1, objectness: 0.75, categories: [0.25, 0.5] }])

    expect(decodeGrid(output, gridOptions)).to.deep.equal([
      { confidence: 0.75, categoryIndex: 1, box: { left: 12, top: 4, right: 28, bottom: 20 } },
    ])
  })

  it('takes only the peak among neighbours and drops what is below the threshold', () => {
    const categories = [1, 0]
    const output = grid([
      { column: 0, row: 0, objectness: 0.5, categories, side: 3 },
      { column: 1, row: 0, objectness: 0.75, categories, side: 3 },
      { column: 3, row: 2, objectness: 0.25, categories, side: 3 },
    ])

    expect(decodeGrid(output, gridOptions).map(({ confidence }) => confidence)).to.deep.equal([0.75])
  })

  it('lets peaks of different categories suppress each other', () => {
    const output = grid([
      { column: 0, row: 1, objectness: 0.9, categories: [1, 0], side: 40 },
      { column: 3, row: 1, objectness: 0.8, categories: [0, 1], side: 40 },
    ])

    expect(decodeGrid(output, gridOptions)).to.have.lengthOf(1)
  })

  it('never lets NaN or infinity out, wherever they stand', () => {
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      const objectness = grid([{ column: 2, row: 1, objectness: bad, categories: [1, 0] }])
      const categories = grid([{ column: 2, row: 1, objectness: 0.9, categories: [bad, bad] }])
      const side = grid([{ column: 2, row: 1, objectness: 0.9, categories: [1, 0], side: bad }])

      expect(decodeGrid(objectness, gridOptions)).to.deep.equal([])
      expect(decodeGrid(categories, gridOptions)).to.deep.equal([])
      expect(decodeGrid(side, gridOptions)).to.deep.equal([])
    }
  })

  it('cuts an objectness that rounding put above one', () => {
    const output = grid([{ column: 2, row: 1, objectness: 1.001, categories: [1, 0] }])

    expect(decodeGrid(output, gridOptions)[0]?.confidence).to.equal(1)
  })

  it('refuses another shape, naming both shapes and the number of categories', () => {
    const output = { dims: [1, 8, 3, 4], data: new Float32Array(8 * CELLS) }

    expect(() => decodeGrid(output, gridOptions)).to.throw(
      InferenceError,
      "The model's output has the shape [1, 8, 3, 4]; expected [1, 7, 3, 4] for 2 categories in layout grid.",
    )
  })
})

describe('decodeYolo', () => {
  const options = { threshold: 0.2, iouThreshold: 0.45, categoryCount: 2, layout: 'yolov5' } as const

  it('reads YOLO v5 rows, where confidence is objectness times category', () => {
    const output = table([
      [50, 40, 20, 10, 0.5, 0.25, 1],
      [0, 0, 0, 0, 0, 0, 0],
      [10, 10, 4, 4, 0.5, 0.25, 0.125],
    ])

    expect(decodeYolo(output, options)).to.deep.equal([
      { confidence: 0.5, categoryIndex: 1, box: { left: 40, top: 35, right: 60, bottom: 45 } },
    ])
  })

  it('reads YOLO v8 columns, which have no objectness', () => {
    const output = transposed(table([[50, 40, 20, 10, 0.25, 0.75]]))

    expect(decodeYolo(output, { ...options, layout: 'yolov8' })).to.deep.equal([
      { confidence: 0.75, categoryIndex: 1, box: { left: 40, top: 35, right: 60, bottom: 45 } },
    ])
  })

  it('drops rows with NaN or infinity, wherever they stand', () => {
    const sound = [50, 40, 20, 10, 0.5, 1, 0.25]
    const rows = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY].flatMap((bad) =>
      sound.map((_, field) => sound.map((value, index) => (index === field ? bad : value))),
    )

    const found = decodeYolo(table(rows), { ...options, iouThreshold: 1 })

    // What is left are the rows whose only bad value is the score of one of the two categories.
    expect(found.map(({ confidence }) => confidence)).to.deep.equal([0.5, 0.5, 0.5])
    expect(found.flatMap(({ box }) => Object.values(box)).every(Number.isFinite)).to.equal(true)
  })

  it('reads finished boxes by their edges', () => {
    const rows = [
      [10, 20, 30, 50, 0.75, 1],
      [10, 20, 30, 50, 0.1, 0],
      [10, 20, 30, 50, 0.9, 2],
      [10, Number.NaN, 30, 50, 0.9, 0],
      [0, 0, 0, 0, 0, 0],
      [0, 0, 0, 0, 0, 0],
      [0, 0, 0, 0, 0, 0],
    ]

    expect(decodeYolo(table(rows), { ...options, layout: 'end-to-end' })).to.deep.equal([
      { confidence: 0.75, categoryIndex: 1, box: { left: 10, top: 20, right: 30, bottom: 50 } },
    ])
  })

  it('refuses a shape that is not that of the layout', () => {
    for (const [layout, expected] of [
      ['yolov5', '[1, N, 7] (YOLO v5) for 2 categories'],
      ['yolov8', '[1, 6, N] (YOLO v8) for 2 categories'],
      ['end-to-end', '[1, N, 6] (end-to-end) for 2 categories'],
    ] as const) {
      expect(() => decodeYolo(table([[1, 2, 3]]), { ...options, layout })).to.throw(expected)
    }
  })
})

describe('decodeClassification', () => {
  const options = { threshold: 0.2, categoryCount: 3 }

  it('takes probabilities as they are, the best first', () => {
    const scores = decodeClassification(flat([0.25, 0.625, 0.125]), options)

    expect(scores).to.deep.equal([
      { categoryIndex: 1, confidence: 0.625 },
      { categoryIndex: 0, confidence: 0.25 },
    ])
  })

  it('puts raw scores through a softmax, in which NaN and infinity count as impossible', () => {
    const scores = decodeClassification(flat([1, 3, Number.NaN]), options)

    expect(scores).to.have.lengthOf(1)
    expect(scores[0]?.categoryIndex).to.equal(1)
    expect(scores[0]?.confidence).to.be.closeTo(0.881, 0.001)
    expect(decodeClassification(flat([Number.NaN, Number.NaN, Number.POSITIVE_INFINITY]), options)).to.deep.equal([])
  })

  it('refuses another number of categories', () => {
    expect(() => decodeClassification(flat([1, 0]), options)).to.throw(InferenceError, '[1, 3] for 3 categories')
  })
})

function flat(values: number[]): ModelOutput {
  return { dims: [1, values.length], data: Float32Array.from(values) }
}
