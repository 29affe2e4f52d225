type Point = { readonly x: number; readonly y: number }

/** Leaves out points of a closed line that lie within `tolerance` of what is left (Douglas and Peucker). */
export function simplifyLoop(loop: readonly Point[], tolerance: number): Point[] {
  if (loop.length < 4) return [...loop]
  const opposite = farthestFrom(loop, 0)
  const open = [...loop, ...loop.slice(0, 1)]
  const kept = new Set([0, opposite])
  // A stack of its own, since a mask of thousands of points would otherwise nest as deep.
  const pieces: [number, number][] = [
    [0, opposite],
    [opposite, loop.length],
  ]
  for (let piece = pieces.pop(); piece !== undefined; piece = pieces.pop()) {
    const [first, last] = piece
    const { index, distance } = farthestBetween(open, first, last)
    if (distance <= tolerance) continue
    kept.add(index)
    pieces.push([first, index], [index, last])
  }
  return loop.filter((_, index) => kept.has(index))
}

function farthestFrom(loop: readonly Point[], from: number): number {
  const origin = loop[from] ?? { x: 0, y: 0 }
  const distances = loop.map(({ x, y }) => Math.hypot(x - origin.x, y - origin.y))
  return distances.reduce((best, distance, index) => (distance > (distances[best] ?? 0) ? index : best), 0)
}

function farthestBetween(points: readonly Point[], first: number, last: number): { index: number; distance: number } {
  const [start, end] = [points[first], points[last]]
  let best = { index: first, distance: 0 }
  if (start === undefined || end === undefined) return best
  const length = Math.hypot(end.x - start.x, end.y - start.y)
  for (let index = first + 1; index < last; index++) {
    const point = points[index] ?? start
    const across = (end.x - start.x) * (start.y - point.y) - (start.x - point.x) * (end.y - start.y)
    const distance = length === 0 ? Math.hypot(point.x - start.x, point.y - start.y) : Math.abs(across) / length
    if (distance > best.distance) best = { index, distance }
  }
  return best
}
