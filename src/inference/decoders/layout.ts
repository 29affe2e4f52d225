import type { ModelOutput } from './model-output.js'

const yoloLayouts = ['yolov5', 'yolov8', 'end-to-end'] as const
export type YoloLayout = (typeof yoloLayouts)[number]
export type Layout = YoloLayout | 'classification'

/** Exports with built-in suppression keep 300 boxes, or the number that was set for the export. */
export const MOST_FINISHED = 1000

/** Whether an output can have the layout: its shape is right, and finished boxes name whole numbers as categories. */
export function fitsLayout(output: ModelOutput, layout: Layout, categoryCount: number): boolean {
  const [batch, rows = 0, columns = 0] = output.dims
  if (layout === 'classification') return output.dims.length === 2 && batch === 1 && rows === categoryCount
  const masks = output.masks?.dims[1] ?? 0
  if (output.dims.length !== 3 || batch !== 1 || output.data.length !== rows * columns) return false
  if (layout === 'yolov5') return columns === 5 + categoryCount + masks
  if (layout === 'yolov8') return rows === 4 + categoryCount + masks
  return columns === 6 + masks && hasWholeCategories(output)
}

/** Those that a table can have, the usual one first. */
export function layoutsThatFit(output: ModelOutput, categoryCount: number): YoloLayout[] {
  return yoloLayouts.filter((layout) => fitsLayout(output, layout, categoryCount))
}

// So that other tables of the same width are not taken for finished boxes.
function hasWholeCategories({ dims: [, rows = 0, columns = 0], data }: ModelOutput): boolean {
  if (rows > MOST_FINISHED) return false
  for (let row = 0; row < rows; row++) if (!Number.isInteger(data[row * columns + 5])) return false
  return true
}

/** A box of a model that works in pixels is never so small; padding is zero. */
const MOST_OF_SHARES = 1.5

/**
 * Whether all boxes of a table are shares of the image instead of pixels: some are there, and none reaches beyond 1 by more than a
 * network does.
 */
export function hasBoxesInShares({ dims: [, first = 0, second = 0], data }: ModelOutput, layout: string): boolean {
  const isByColumn = layout === 'yolov8'
  if (!isByColumn && layout !== 'yolov5' && layout !== 'end-to-end') return false
  const boxes = isByColumn ? second : first
  let largest = 0
  for (let box = 0; box < boxes; box++) {
    for (let side = 0; side < 4; side++) {
      const value = data[isByColumn ? side * second + box : box * second + side] ?? 0
      if (Number.isFinite(value)) largest = Math.max(largest, Math.abs(value))
    }
    if (largest > MOST_OF_SHARES) return false
  }
  return largest > 0
}
