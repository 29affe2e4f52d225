import type { Box, Size } from './geometry.js'

/** So many places of the surroundings stand for all of them. */
const SAMPLES = 240
const BINS = 64
const MIN_SHARE = 0.01

/**
 * Which cells of the area look unlike all that surrounds it: 1 for these, 0 for the others. GrabCut alone takes the whole
 * area for the object at first and learns the background in it as one of the object's colours, from which it often
 * does not find back. Undefined when nothing looks unlike.
 */
export function likelyForeground(pixels: Uint8Array, size: Size, area: Box): Uint8Array | undefined {
  const around = sampleAround(pixels, size, area)
  if (around.length === 0) return undefined
  const distances = new Float32Array(area.width * area.height)
  for (let y = 0, cell = 0; y < area.height; y++) {
    for (let x = 0; x < area.width; x++, cell++) {
      distances[cell] = distanceTo(around, pixels, ((area.y + y) * size.width + area.x + x) * 3)
    }
  }
  const threshold = splitOf(distances)
  const isLikely = new Uint8Array(size.width * size.height)
  let count = 0
  distances.forEach((distance, cell) => {
    if (distance <= threshold) return
    isLikely[(area.y + Math.floor(cell / area.width)) * size.width + area.x + (cell % area.width)] = 1
    count += 1
  })
  return count < distances.length * MIN_SHARE ? undefined : isLikely
}

/** RGB of places spread evenly over what is outside the area. */
function sampleAround(pixels: Uint8Array, { width, height }: Size, area: Box): Uint8Array {
  const step = Math.max(1, Math.floor(Math.sqrt((width * height - area.width * area.height) / SAMPLES)))
  const samples: number[] = []
  for (let y = Math.floor(step / 2); y < height; y += step) {
    for (let x = Math.floor(step / 2); x < width; x += step) {
      const isInside = x >= area.x && x < area.x + area.width && y >= area.y && y < area.y + area.height
      if (!isInside) samples.push(...pixels.subarray((y * width + x) * 3, (y * width + x) * 3 + 3))
    }
  }
  return Uint8Array.from(samples)
}

function distanceTo(samples: Uint8Array, pixels: Uint8Array, at: number): number {
  const [red = 0, green = 0, blue = 0] = [pixels[at], pixels[at + 1], pixels[at + 2]]
  let nearest = Number.POSITIVE_INFINITY
  for (let i = 0; i < samples.length; i += 3) {
    const distance =
      (red - (samples[i] ?? 0)) ** 2 + (green - (samples[i + 1] ?? 0)) ** 2 + (blue - (samples[i + 2] ?? 0)) ** 2
    if (distance < nearest) nearest = distance
  }
  return Math.sqrt(nearest)
}

/** Where values fall apart into low and high ones: Otsu's threshold, which leaves the least variance in both. */
function splitOf(values: Float32Array): number {
  const highest = values.reduce((top, value) => Math.max(top, value), 0)
  const counts = new Float64Array(BINS)
  const binOf = (value: number) => Math.min(BINS - 1, Math.floor((value / (highest || 1)) * BINS))
  for (const value of values) counts[binOf(value)] = (counts[binOf(value)] ?? 0) + 1
  const total = counts.reduce((sum, count, bin) => sum + count * bin, 0)
  let [below, sumBelow, best, bestBin] = [0, 0, -1, 0]
  counts.forEach((count, bin) => {
    below += count
    sumBelow += count * bin
    const above = values.length - below
    if (below === 0 || above === 0) return
    const between = below * above * (sumBelow / below - (total - sumBelow) / above) ** 2
    if (between > best) [best, bestBin] = [between, bin]
  })
  return ((bestBin + 1) / BINS) * highest
}
