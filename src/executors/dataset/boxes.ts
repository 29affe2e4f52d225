import type { Category, ImageData } from '../../loop/protocol/index.js'
import { DatasetError } from '../contract/index.js'

export type Box = { readonly x: number; readonly y: number; readonly width: number; readonly height: number }
type Size = { readonly width: number; readonly height: number }

const DEFAULT_POINT_SIZE = 20

/** A point as the box that detectors learn: a square of the category's `point_size`. */
export function squareAround(point: { readonly x: number; readonly y: number }, category: Category): Box {
  const size = category.point_size ?? DEFAULT_POINT_SIZE
  return { x: point.x - size / 2, y: point.y - size / 2, width: size, height: size }
}

/** The part of a box that lies inside the image; undefined if there is none. */
export function clipBox(box: Box, image: Size): Box | undefined {
  const left = clipTo(box.x, image.width)
  const right = clipTo(box.x + box.width, image.width)
  const top = clipTo(box.y, image.height)
  const bottom = clipTo(box.y + box.height, image.height)
  if (!(right > left && bottom > top)) return undefined
  return { x: left, y: top, width: right - left, height: bottom - top }
}

export function clipTo(value: number, end: number): number {
  return Math.min(end, Math.max(0, value))
}

/** Throws LF_BAD_DATASET for an image without a size. */
export function checkSize(image: Pick<ImageData, 'id' | 'width' | 'height'>): void {
  if (image.width > 0 && image.height > 0) return
  throw new DatasetError(`The image ${image.id} has the size ${image.width} x ${image.height}.`, { id: image.id })
}
