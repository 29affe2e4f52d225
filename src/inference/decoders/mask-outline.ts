import type { Box } from './boxes.js'
import { simplifyLoop } from './loop-simplification.js'
import { traceLoops } from './marching-squares.js'
import type { OutputTensor } from './model-output.js'

export type Point = { readonly x: number; readonly y: number }

export type MaskOptions = {
  /** What the shapes are multiplied with, one each. */
  readonly coefficients: readonly number[]
  readonly box: Box
  /** The model's input in pixels; the mask covers it in larger cells. */
  readonly input: { readonly width: number; readonly height: number }
}

/** How far the outline may be beside the mask, in input pixels. */
const TOLERANCE = 0.5

/**
 * The outline of an object in input pixels: the largest loop around where the weighted sum of the shapes `[1, M, h, w]`
 * is positive within the box (YOLO segmentation). Holes and smaller parts are left out; undefined if nothing is left.
 */
export function maskOutline(shapes: OutputTensor, options: MaskOptions): Point[] | undefined {
  const { box, input } = options
  const [, , rows = 0, columns = 0] = shapes.dims
  const cellWidth = input.width / columns
  const cellHeight = input.height / rows
  const area = {
    left: Math.max(0, Math.floor(box.left / cellWidth)),
    top: Math.max(0, Math.floor(box.top / cellHeight)),
    right: Math.min(columns, Math.ceil(box.right / cellWidth)),
    bottom: Math.min(rows, Math.ceil(box.bottom / cellHeight)),
  }
  if (area.right <= area.left || area.bottom <= area.top) return undefined

  const loops = traceLoops(maskWithBorder(shapes, options.coefficients, area))
  const outline = largest(loops).map(({ x, y }) => ({
    x: clamp((x - 1 + area.left + 0.5) * cellWidth, box.left, box.right),
    y: clamp((y - 1 + area.top + 0.5) * cellHeight, box.top, box.bottom),
  }))
  const simple = simplifyLoop(outline, TOLERANCE)
  return simple.length >= 3 ? simple : undefined
}

// A ring of the opposite sign around the area closes every loop, half a cell outside of the last centre.
function maskWithBorder(shapes: OutputTensor, coefficients: readonly number[], area: Box) {
  const [, , rows = 0, columns = 0] = shapes.dims
  const width = area.right - area.left + 2
  const height = area.bottom - area.top + 2
  const values = new Float32Array(width * height)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const row = clamp(y - 1, 0, height - 3) + area.top
      const column = clamp(x - 1, 0, width - 3) + area.left
      const isRing = x === 0 || y === 0 || x === width - 1 || y === height - 1
      let sum = 0
      for (const [index, factor] of coefficients.entries()) {
        sum += factor * (shapes.data[(index * rows + row) * columns + column] ?? 0)
      }
      values[y * width + x] = isRing ? -Math.abs(sum) : sum
    }
  }
  return { values, width, height }
}

function largest(loops: readonly Point[][]): Point[] {
  let best: Point[] = []
  let bestSize = 0
  for (const loop of loops) {
    const size = Math.abs(areaOf(loop))
    if (size <= bestSize) continue
    best = loop
    bestSize = size
  }
  return best
}

function areaOf(loop: readonly Point[]): number {
  let twice = 0
  for (const [index, point] of loop.entries()) {
    const next = loop[(index + 1) % loop.length] ?? point
    twice += point.x * next.y - next.x * point.y
  }
  return twice / 2
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, value))
}
