import type { ImagePoint } from '../../annotation-tool.js'

/** Whole pixels; right and bottom edge are x + width and y + height. */
export type Box = { readonly x: number; readonly y: number; readonly width: number; readonly height: number }
export type Size = { readonly width: number; readonly height: number }

/** The box between two corners, in whatever direction it was dragged. */
export function boxBetween(a: ImagePoint, b: ImagePoint): Box {
  return { x: Math.min(a.x, b.x), y: Math.min(a.y, b.y), width: Math.abs(a.x - b.x), height: Math.abs(a.y - b.y) }
}

/** The part of a box that lies in the image; undefined when nothing of it does. */
export function clip(box: Box, { width, height }: Size): Box | undefined {
  const x = Math.max(0, Math.floor(box.x))
  const y = Math.max(0, Math.floor(box.y))
  const right = Math.min(width, Math.ceil(box.x + box.width))
  const bottom = Math.min(height, Math.ceil(box.y + box.height))
  return right > x && bottom > y ? { x, y, width: right - x, height: bottom - y } : undefined
}

export function grow(box: Box, byX: number, byY: number): Box {
  return { x: box.x - byX, y: box.y - byY, width: box.width + 2 * byX, height: box.height + 2 * byY }
}

/** The smallest box around some points and a box. */
export function boundsOf(box: Box, points: readonly ImagePoint[]): Box {
  let [left, top, right, bottom] = [box.x, box.y, box.x + box.width, box.y + box.height]
  for (const { x, y } of points) {
    left = Math.min(left, x)
    top = Math.min(top, y)
    right = Math.max(right, x)
    bottom = Math.max(bottom, y)
  }
  return { x: left, y: top, width: right - left, height: bottom - top }
}
