/** A rectangle by its edges, y downwards; fractions of a pixel are allowed. */
export type Box = { readonly left: number; readonly top: number; readonly right: number; readonly bottom: number }

/** The area two boxes share divided by the area they cover together, 0…1; 0 for empty or non-finite boxes. */
export function iou(a: Box, b: Box): number {
  const shared = areaOf({
    left: Math.max(a.left, b.left),
    top: Math.max(a.top, b.top),
    right: Math.min(a.right, b.right),
    bottom: Math.min(a.bottom, b.bottom),
  })
  const together = areaOf(a) + areaOf(b) - shared
  return shared > 0 && together > 0 ? shared / together : 0
}

function areaOf(box: Box): number {
  const width = box.right - box.left
  const height = box.bottom - box.top
  return width > 0 && height > 0 ? width * height : 0
}

/** False if an edge is NaN or infinite, or the box has no area. */
export function isSoundBox(box: Box): boolean {
  return areaOf(box) > 0 && [box.left, box.top, box.right, box.bottom].every(Number.isFinite)
}
