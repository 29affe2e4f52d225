import type { Cells } from './cut.js'
import type { Region } from './region.js'

/** How far the true edge may lie from the edge of the cells, in cells. */
const DOUBT = 2
/** In which surroundings the colours of both sides are taken, in cells. */
const AROUND = 6
/** Sides whose colours differ by less than this cannot be told apart by them. */
const MIN_CONTRAST = 12

/**
 * Carries the cut of the cells over to the pixels of the region: pixels near its edge go to the side whose colour, in
 * their neighbourhood, they are nearer to; the others go with their cell. Returns 0 or 1 for each pixel.
 */
export function refine(region: Region, cells: Cells): Uint8Array {
  if (cells.width === region.width && cells.height === region.height) return cells.isForeground
  const doubtful = edgeOf(cells)
  const colors = sideColors(cells, doubtful)
  const mask = new Uint8Array(region.width * region.height)
  for (let y = 0, pixel = 0; y < region.height; y++) {
    const row = Math.floor(((y + 0.5) * cells.height) / region.height) * cells.width
    for (let x = 0; x < region.width; x++, pixel++) {
      const cell = row + Math.floor(((x + 0.5) * cells.width) / region.width)
      mask[pixel] =
        (doubtful[cell] === 1 ? colors.sideOf(cell, region.pixels, pixel * 3) : undefined) ??
        cells.isForeground[cell] ??
        0
    }
  }
  return mask
}

/** The cells with one of the other side within `DOUBT` of them. */
function edgeOf({ width, height, isForeground }: Cells): Uint8Array {
  const counts = boxSums(isForeground, width, height, DOUBT)
  const sizes = boxSums(new Uint8Array(width * height).fill(1), width, height, DOUBT)
  return isForeground.map((_, cell) => (counts[cell] === 0 || counts[cell] === sizes[cell] ? 0 : 1))
}

/** Mean colours of the certain cells of both sides, around each cell. */
function sideColors({ width, height, isForeground, pixels }: Cells, doubtful: Uint8Array) {
  const sides = [0, 1].map((side) => {
    const isCertain = isForeground.map((value, cell) => (value === side && doubtful[cell] === 0 ? 1 : 0))
    const counts = boxSums(isCertain, width, height, AROUND)
    const sums = [0, 1, 2].map((channel) =>
      boxSums(
        Float32Array.from(isCertain, (value, cell) => value * (pixels[cell * 3 + channel] ?? 0)),
        width,
        height,
        AROUND,
      ),
    )
    return { counts, sums }
  })
  const [background, foreground] = sides
  return {
    /** 1 for foreground, undefined where the colours do not decide. */
    sideOf(cell: number, rgb: Uint8Array, at: number): number | undefined {
      const backCount = background?.counts[cell] ?? 0
      const foreCount = foreground?.counts[cell] ?? 0
      if (backCount === 0 || foreCount === 0) return undefined
      let along = 0
      let contrast = 0
      for (let channel = 0; channel < 3; channel++) {
        const back = (background?.sums[channel]?.[cell] ?? 0) / backCount
        const fore = (foreground?.sums[channel]?.[cell] ?? 0) / foreCount
        along += (fore - back) * ((rgb[at + channel] ?? 0) - (fore + back) / 2)
        contrast += (fore - back) ** 2
      }
      if (contrast < MIN_CONTRAST ** 2) return undefined
      return along > 0 ? 1 : 0
    },
  }
}

/** The sum of the values in a square of (2 * radius + 1) around each place, cut off at the borders. */
function boxSums(values: Uint8Array | Float32Array, width: number, height: number, radius: number): Float32Array {
  const rows = new Float32Array(width * height)
  for (let y = 0; y < height; y++) slide(values, rows, y * width, 1, width, radius)
  const sums = new Float32Array(width * height)
  for (let x = 0; x < width; x++) slide(rows, sums, x, width, height, radius)
  return sums
}

function slide(
  from: Uint8Array | Float32Array,
  to: Float32Array,
  start: number,
  step: number,
  count: number,
  radius: number,
): void {
  let sum = 0
  for (let i = 0; i < Math.min(radius, count); i++) sum += from[start + i * step] ?? 0
  for (let i = 0; i < count; i++) {
    if (i + radius < count) sum += from[start + (i + radius) * step] ?? 0
    if (i > radius) sum -= from[start + (i - radius - 1) * step] ?? 0
    to[start + i * step] = sum
  }
}
