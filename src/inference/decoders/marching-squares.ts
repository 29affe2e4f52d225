type Point = { readonly x: number; readonly y: number }

export type Field = { readonly values: Float32Array; readonly width: number; readonly height: number }

// The sides of a square of four neighbouring values. A line runs from side to side with what is positive on its left.
const [TOP, RIGHT, BOTTOM, LEFT] = [0, 1, 2, 3] as const
type Side = typeof TOP | typeof RIGHT | typeof BOTTOM | typeof LEFT

/** By which corners are positive: 8 top left, 4 top right, 2 bottom right, 1 bottom left. */
const LINES: readonly (readonly (readonly [Side, Side])[])[] = [
  [],
  [[BOTTOM, LEFT]],
  [[RIGHT, BOTTOM]],
  [[RIGHT, LEFT]],
  [[TOP, RIGHT]],
  [
    [TOP, RIGHT],
    [BOTTOM, LEFT],
  ],
  [[TOP, BOTTOM]],
  [[TOP, LEFT]],
  [[LEFT, TOP]],
  [[BOTTOM, TOP]],
  [
    [LEFT, TOP],
    [RIGHT, BOTTOM],
  ],
  [[RIGHT, TOP]],
  [[LEFT, RIGHT]],
  [[BOTTOM, RIGHT]],
  [[LEFT, BOTTOM]],
  [],
]

/**
 * The closed lines along which the field is zero (marching squares, interpolated), in its own coordinates. The border
 * must not be positive. Values that are not finite count as negative.
 */
export function traceLoops(field: Field): Point[][] {
  const next = linesOf(field)
  const loops: Point[][] = []
  for (const start of next.keys()) {
    const loop: Point[] = []
    for (let edge: number | undefined = start; edge !== undefined; ) {
      const following: number | undefined = next.get(edge)
      next.delete(edge)
      if (following === undefined) break
      loop.push(pointOn(edge, field))
      edge = following
    }
    if (loop.length >= 3) loops.push(loop)
  }
  return loops
}

/** From each crossed edge to the one that follows; edges are numbered by their first value, the vertical ones odd. */
function linesOf(field: Field): Map<number, number> {
  const { width, height } = field
  const next = new Map<number, number>()
  for (let y = 0; y + 1 < height; y++) {
    for (let x = 0; x + 1 < width; x++) {
      const at = y * width + x
      const code =
        (isPositive(field, at) ? 8 : 0) +
        (isPositive(field, at + 1) ? 4 : 0) +
        (isPositive(field, at + width + 1) ? 2 : 0) +
        (isPositive(field, at + width) ? 1 : 0)
      for (const [from, to] of LINES[code] ?? []) next.set(edgeOf(from, at, width), edgeOf(to, at, width))
    }
  }
  return next
}

function edgeOf(side: Side, at: number, width: number): number {
  if (side === TOP) return 2 * at
  if (side === BOTTOM) return 2 * (at + width)
  return side === LEFT ? 2 * at + 1 : 2 * (at + 1) + 1
}

function pointOn(edge: number, { values, width }: Field): Point {
  const at = Math.floor(edge / 2)
  const isVertical = edge % 2 === 1
  const from = values[at] ?? 0
  const to = values[isVertical ? at + width : at + 1] ?? 0
  const share = Number.isFinite(from) && Number.isFinite(to) && from !== to ? from / (from - to) : 0.5
  const [x, y] = [at % width, Math.floor(at / width)]
  return isVertical ? { x, y: y + share } : { x: x + share, y }
}

function isPositive({ values }: Field, at: number): boolean {
  const value = values[at] ?? 0
  return value > 0 && Number.isFinite(value)
}
