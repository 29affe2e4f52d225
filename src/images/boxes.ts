/** A rectangle by its upper left corner and its size, in pixels. */
export type Box = { readonly x: number; readonly y: number; readonly width: number; readonly height: number }

/** The area that two boxes share; 0 if they do not overlap. */
export function intersectionOf(a: Box, b: Box): number {
  const width = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x)
  const height = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y)
  return Math.max(0, width) * Math.max(0, height)
}

/** Intersection over union of two boxes, 0…1; 0 when both are empty. */
export function intersectionOverUnion(a: Box, b: Box): number {
  const intersection = intersectionOf(a, b)
  const union = a.width * a.height + b.width * b.height - intersection
  return union <= 0 ? 0 : intersection / union
}
