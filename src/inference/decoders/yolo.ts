import { isSoundBox } from './boxes.js'
import type { YoloLayout } from './layout.js'
import { maskOutline } from './mask-outline.js'
import { type Candidate, type ModelOutput, outputError, toConfidence } from './model-output.js'
import { nonMaximumSuppression, type Scored } from './non-maximum-suppression.js'

export type YoloOptions = {
  readonly threshold: number
  readonly iouThreshold: number
  readonly categoryCount: number
  readonly layout: YoloLayout
  /** The model's input in pixels; needed for masks. */
  readonly input?: { readonly width: number; readonly height: number }
}

/**
 * Reads YOLO boxes in input pixels: v5 `[1, N, 5 + C]`, `x y w h` with objectness times category as confidence;
 * v8 and v11 `[1, 4 + C, N]`; end-to-end `[1, N, 6]`, edges, confidence and category, which need no suppression.
 * In the others, boxes suppress only boxes of their own category, as the public scripts do. Segmentation models add a
 * coefficient for each of the shapes that `output.masks` holds.
 */
export function decodeYolo(output: ModelOutput, options: YoloOptions): Candidate[] {
  const { layout } = options
  assertShape(output, options)
  const table = tableOf(layout, output)
  const read = layout === 'end-to-end' ? readFinished : readEntry
  const candidates: Entry[] = []
  const best = layout === 'yolov8' ? bestOfEach(output, options) : undefined
  for (let index = 0; index < table.count; index++) {
    if (best !== undefined && (best[index] ?? 0) < options.threshold) continue
    const found = read(table, index, options)
    if (found !== undefined) candidates.push({ ...found, entry: index })
  }
  const kept =
    layout === 'end-to-end'
      ? candidates
      : nonMaximumSuppression(candidates, { iouThreshold: options.iouThreshold, perCategory: true })
  const first = layout === 'end-to-end' ? 6 : table.firstCategory + options.categoryCount
  return kept.map(({ entry, ...candidate }) => withOutline(candidate, entry, { table, first, output, options }))
}

type Entry = Scored & { readonly entry: number }

type Masks = {
  readonly table: Table
  /** Field of the first coefficient. */
  readonly first: number
  readonly output: ModelOutput
  readonly options: YoloOptions
}

function withOutline(candidate: Scored, entry: number, { table, first, output, options }: Masks): Candidate {
  const { masks } = output
  if (masks === undefined || options.input === undefined) return candidate
  const coefficients = Array.from({ length: masks.dims[1] ?? 0 }, (_, index) => table.at(entry, first + index))
  return { ...candidate, outline: maskOutline(masks, { coefficients, box: candidate.box, input: options.input }) ?? [] }
}

/** The shape that the layout asks for. */
function assertShape(output: ModelOutput, { categoryCount: count, layout }: YoloOptions): void {
  const [batch, rows = 0, columns = 0] = output.dims
  const masks = output.masks?.dims[1] ?? 0
  const isTable = output.dims.length === 3 && batch === 1 && output.data.length === rows * columns
  const [isRight, expected] = {
    yolov5: [columns === 5 + count + masks, `[1, N, ${5 + count + masks}] (YOLO v5)`],
    yolov8: [rows === 4 + count + masks, `[1, ${4 + count + masks}, N] (YOLO v8)`],
    'end-to-end': [columns === 6 + masks, `[1, N, ${6 + masks}] (end-to-end)`],
  }[layout] as [boolean, string]
  if (!isTable || !isRight) throw outputError(output, `${expected} for ${count} categories`)
}

function tableOf(layout: YoloLayout, output: ModelOutput): Table {
  if (layout === 'yolov8') return columnTable(output, 4)
  return rowTable(output, layout === 'yolov5' ? 5 : 6)
}

// Unused rows are zeros.
function readFinished(table: Table, index: number, options: YoloOptions): Scored | undefined {
  const confidence = toConfidence(table.at(index, 4))
  const categoryIndex = Math.round(table.at(index, 5))
  if (confidence === undefined || confidence < options.threshold || confidence === 0) return undefined
  if (!(categoryIndex >= 0 && categoryIndex < options.categoryCount)) return undefined
  const box = {
    left: table.at(index, 0),
    top: table.at(index, 1),
    right: table.at(index, 2),
    bottom: table.at(index, 3),
  }
  return isSoundBox(box) ? { box, confidence, categoryIndex } : undefined
}

type Table = { readonly count: number; readonly firstCategory: number; at(index: number, field: number): number }

function rowTable({ dims, data }: ModelOutput, firstCategory: number): Table {
  const width = dims[2] ?? 0
  return { count: dims[1] ?? 0, firstCategory, at: (index, field) => data[index * width + field] ?? Number.NaN }
}

function columnTable({ dims, data }: ModelOutput, firstCategory: number): Table {
  const count = dims[2] ?? 0
  return { count, firstCategory, at: (index, field) => data[field * count + index] ?? Number.NaN }
}

function readEntry(table: Table, index: number, options: YoloOptions): Scored | undefined {
  const objectness = table.firstCategory === 5 ? table.at(index, 4) : 1
  if (!(objectness >= options.threshold)) return undefined // also drops NaN
  const best = mostProbable(table, index, options.categoryCount)
  const confidence = toConfidence(best.value * objectness)
  if (confidence === undefined || confidence < options.threshold) return undefined
  const box = readBox(table, index)
  return isSoundBox(box) ? { box, confidence, categoryIndex: best.categoryIndex } : undefined
}

/** The largest number of each entry's categories, 0 at least: read in the order of memory, many times as fast. */
function bestOfEach({ dims, data }: ModelOutput, { categoryCount }: YoloOptions): Float32Array {
  const count = dims[2] ?? 0
  const best = new Float32Array(count)
  for (let category = 0; category < categoryCount; category++) {
    const first = (4 + category) * count
    for (let index = 0; index < count; index++) {
      const value = data[first + index] ?? 0
      if (value > (best[index] ?? 0)) best[index] = value
    }
  }
  return best
}

function mostProbable(table: Table, index: number, categoryCount: number): { categoryIndex: number; value: number } {
  let best = { categoryIndex: -1, value: Number.NaN }
  for (let categoryIndex = 0; categoryIndex < categoryCount; categoryIndex++) {
    const value = table.at(index, table.firstCategory + categoryIndex)
    if (Number.isFinite(value) && !(value <= best.value)) best = { categoryIndex, value }
  }
  return best
}

function readBox(table: Table, index: number) {
  const x = table.at(index, 0)
  const y = table.at(index, 1)
  const halfWidth = table.at(index, 2) / 2
  const halfHeight = table.at(index, 3) / 2
  return { left: x - halfWidth, top: y - halfHeight, right: x + halfWidth, bottom: y + halfHeight }
}
