/** One axis of a picture: `count` outputs over `length` inputs; output = input * scale + offset. */
export type Axis = {
  readonly length: number
  readonly count: number
  readonly scale: number
  readonly offset: number
}

/** Which inputs make an output: from `starts[i]` on, as many as `taps`, each with its weight. */
export type AxisTaps = { readonly taps: number; readonly starts: Int32Array; readonly weights: Int16Array }

/**
 * A triangle filter as wide as an output is (linear interpolation where the picture grows). Beyond the edge lies what
 * is at the edge. The weights of an output add up to `total`; with `inPairs` there is an even number of them, of which
 * the last may lie outside with the weight 0.
 */
export function axisTaps(axis: Axis, total: number, inPairs: boolean): AxisTaps {
  const outputs = Array.from({ length: axis.count }, (_, index) => tapsOf(index, axis))
  const most = Math.max(...outputs.map(({ weights }) => weights.length))
  const taps = inPairs ? most + (most % 2) : most
  const starts = new Int32Array(axis.count)
  const weights = new Int16Array(axis.count * taps)
  for (const [index, output] of outputs.entries()) {
    const start = Math.min(output.first, axis.length - most)
    starts[index] = start
    weights.set(toWhole(output.weights, total), index * taps + output.first - start)
  }
  return { taps, starts, weights }
}

function tapsOf(index: number, { length, scale, offset }: Axis) {
  const centre = (index + 0.5 - offset) / scale
  const reach = Math.max(1, 1 / scale)
  const inside = (at: number) => Math.min(length - 1, Math.max(0, at))
  const [begin, end] = [Math.floor(centre - reach), Math.ceil(centre + reach)]
  const first = inside(begin)
  const weights = new Float64Array(inside(end) - first + 1)
  for (let at = begin; at <= end; at++) {
    const slot = inside(at) - first
    weights[slot] = (weights[slot] ?? 0) + Math.max(0, 1 - Math.abs(at + 0.5 - centre) / reach)
  }
  return trimmed(first, weights)
}

function trimmed(first: number, weights: Float64Array) {
  const begin = weights.findIndex((weight) => weight > 0)
  const end = weights.findLastIndex((weight) => weight > 0) + 1
  return { first: first + begin, weights: weights.subarray(begin, end) }
}

// The sum is rounded as it grows, not each weight, so that no part of it gets lost however small they are.
function toWhole(weights: Float64Array, total: number): Int16Array {
  const sum = weights.reduce((before, weight) => before + weight, 0)
  let grown = 0
  let given = 0
  return Int16Array.from(weights, (weight) => {
    grown += weight
    const whole = Math.round((grown / sum) * total) - given
    given += whole
    return whole
  })
}
