import { isSoundBox } from '../boxes.js'
import { nonMaximumSuppression, type Scored } from '../non-maximum-suppression.js'
import { type ModelOutput, outputError, toConfidence } from './model-output.js'

export type YoloOptions = {
  readonly threshold: number
  readonly iouThreshold: number
  readonly categoryCount: number
  /** Read from the shape of the output if not given. */
  readonly layout?: YoloLayout
}

export type YoloLayout = 'yolov5' | 'yolov8'

/**
 * Reads YOLO boxes `x y w h` (centre, input pixels): v5 `[1, N, 5 + C]`, where confidence is objectness times category,
 * and v8 `[1, 4 + C, N]`. Boxes suppress only boxes of their own category, as the public scripts do.
 */
export function decodeYolo(output: ModelOutput, options: YoloOptions): Scored[] {
  const layout = checkLayout(output, options)
  const table = layout === 'yolov5' ? rowTable(output, 5) : columnTable(output, 4)
  const candidates: Scored[] = []
  for (let index = 0; index < table.count; index++) {
    const found = readEntry(table, index, options)
    if (found !== undefined) candidates.push(found)
  }
  return nonMaximumSuppression(candidates, { iouThreshold: options.iouThreshold, perCategory: true })
}

/** The layout that fits the shape; throws LF_MODEL_OUTPUT if none does, or both. */
export function checkLayout(output: ModelOutput, options: YoloOptions): YoloLayout {
  const [batch, rows, columns] = output.dims
  const isTable = output.dims.length === 3 && batch === 1 && output.data.length === (rows ?? 0) * (columns ?? 0)
  const fitsV5 = isTable && columns === 5 + options.categoryCount && options.layout !== 'yolov8'
  const fitsV8 = isTable && rows === 4 + options.categoryCount && options.layout !== 'yolov5'
  if (fitsV5 && fitsV8) {
    throw outputError(output, 'a shape that is not both YOLO v5 and v8; name the layout in a decoder.json')
  }
  if (fitsV5) return 'yolov5'
  if (fitsV8) return 'yolov8'
  const count = options.categoryCount
  throw outputError(output, `[1, N, ${5 + count}] (YOLO v5) or [1, ${4 + count}, N] (YOLO v8) for ${count} categories`)
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
