import { isSoundBox } from './boxes.js'
import { type ModelOutput, outputError, toConfidence } from './model-output.js'
import { nonMaximumSuppression, type Scored } from './non-maximum-suppression.js'

export type GridOptions = {
  readonly input: { readonly width: number; readonly height: number }
  readonly stride: number
  readonly threshold: number
  readonly iouThreshold: number
  readonly categoryCount: number
}

/**
 * Reads the grid of the shapes trainer: `[1, 1 + C + 4, H/stride, W/stride]` with objectness, category probabilities
 * and the distances left, top, right, bottom from the cell's centre in input pixels.
 */
export function decodeGrid(output: ModelOutput, options: GridOptions): Scored[] {
  const grid = checkShape(output, options)
  const candidates: Scored[] = []
  for (let row = 0; row < grid.rows; row++) {
    for (let column = 0; column < grid.columns; column++) {
      const found = readCell(grid, row, column, options)
      if (found !== undefined) candidates.push(found)
    }
  }
  return nonMaximumSuppression(candidates, { iouThreshold: options.iouThreshold })
}

type Grid = { readonly data: Float32Array; readonly rows: number; readonly columns: number }

function checkShape(output: ModelOutput, options: GridOptions): Grid {
  const rows = options.input.height / options.stride
  const columns = options.input.width / options.stride
  const expected = [1, 1 + options.categoryCount + 4, rows, columns]
  const fits = output.dims.length === 4 && expected.every((size, index) => output.dims[index] === size)
  if (fits && output.data.length === expected.reduce((product, size) => product * size, 1)) {
    return { data: output.data, rows, columns }
  }
  throw outputError(output, `[${expected.join(', ')}] for ${options.categoryCount} categories in layout grid`)
}

function readCell(grid: Grid, row: number, column: number, options: GridOptions): Scored | undefined {
  const confidence = toConfidence(valueAt(grid, 0, row, column))
  if (confidence === undefined || confidence < options.threshold || !isPeak(grid, row, column)) return undefined
  const categoryIndex = mostProbable(grid, row, column, options.categoryCount)
  if (categoryIndex === undefined) return undefined

  const x = (column + 0.5) * options.stride
  const y = (row + 0.5) * options.stride
  const first = 1 + options.categoryCount
  const box = {
    left: x - valueAt(grid, first, row, column),
    top: y - valueAt(grid, first + 1, row, column),
    right: x + valueAt(grid, first + 2, row, column),
    bottom: y + valueAt(grid, first + 3, row, column),
  }
  return isSoundBox(box) ? { box, confidence, categoryIndex } : undefined
}

function valueAt(grid: Grid, channel: number, row: number, column: number): number {
  return grid.data[(channel * grid.rows + row) * grid.columns + column] ?? Number.NaN
}

function isPeak(grid: Grid, row: number, column: number): boolean {
  const own = valueAt(grid, 0, row, column)
  for (let y = Math.max(0, row - 1); y <= Math.min(grid.rows - 1, row + 1); y++) {
    for (let x = Math.max(0, column - 1); x <= Math.min(grid.columns - 1, column + 1); x++) {
      const neighbour = valueAt(grid, 0, y, x)
      if (Number.isFinite(neighbour) && neighbour > own) return false
    }
  }
  return true
}

function mostProbable(grid: Grid, row: number, column: number, categoryCount: number): number | undefined {
  let best: number | undefined
  let bestValue = Number.NEGATIVE_INFINITY
  for (let index = 0; index < categoryCount; index++) {
    const value = valueAt(grid, 1 + index, row, column)
    if (!Number.isFinite(value) || value <= bestValue) continue
    best = index
    bestValue = value
  }
  return best
}
