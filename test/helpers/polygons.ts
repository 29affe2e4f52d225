export type PolygonPoint = { readonly x: number; readonly y: number }

/** Intersection over union of two polygons, counted in pixels of an image. */
export function iouOf(a: readonly PolygonPoint[], b: readonly PolygonPoint[], width: number, height: number): number {
  const [xs, ys] = [[...a, ...b].map(({ x }) => x), [...a, ...b].map(({ y }) => y)]
  const [left, top] = [Math.max(0, Math.floor(Math.min(...xs))), Math.max(0, Math.floor(Math.min(...ys)))]
  const [right, bottom] = [Math.min(width, Math.max(...xs)), Math.min(height, Math.max(...ys))]
  let [both, either] = [0, 0]
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) {
      const inA = isInside(a, x + 0.5, y + 0.5)
      const inB = isInside(b, x + 0.5, y + 0.5)
      if (inA && inB) both += 1
      if (inA || inB) either += 1
    }
  }
  return either === 0 ? 0 : both / either
}

function isInside(polygon: readonly PolygonPoint[], x: number, y: number): boolean {
  let inside = false
  polygon.forEach((a, index) => {
    const b = polygon.at(index - 1) ?? a
    if (a.y > y !== b.y > y && x < ((b.x - a.x) * (y - a.y)) / (b.y - a.y) + a.x) inside = !inside
  })
  return inside
}
