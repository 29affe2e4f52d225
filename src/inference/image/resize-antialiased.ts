import type { ImageSize } from '../../images/index.js'
import type { RgbPixels } from '../../images/pixels/index.js'

/** A part of the resized image. */
export type Window = ImageSize & { readonly left: number; readonly top: number }

/** Weights are whole numbers of this share, as in Pillow. */
const ONE = 2 ** 22

/** For each output where its inputs begin, and its weights one after the other. */
type Taps = {
  readonly most: number
  readonly starts: Int32Array
  readonly counts: Int32Array
  readonly weights: Int32Array
}

/**
 * Resizes RGB rows to the very numbers of Pillow's `resize` with `BILINEAR`, which averages where an image is shrunk, and
 * answers a part of the result.
 */
export function resizeAntialiased(image: RgbPixels, size: ImageSize, window: Window): Uint8Array {
  const columns = tapsOf(image.width, size.width, { from: window.left, count: window.width })
  const rows = tapsOf(image.height, size.height, { from: window.top, count: window.height })
  const across = sumColumns(image, columns, window.width)
  const out = new Uint8Array(3 * window.width * window.height)
  const rowBytes = 3 * window.width
  for (let y = 0; y < window.height; y++) {
    const [start, count, weightsAt] = [rows.starts[y] ?? 0, rows.counts[y] ?? 0, y * rows.most]
    for (let x = 0; x < rowBytes; x++) {
      let sum = ONE / 2
      for (let tap = 0; tap < count; tap++) {
        sum += (across[(start + tap) * rowBytes + x] ?? 0) * (rows.weights[weightsAt + tap] ?? 0)
      }
      out[y * rowBytes + x] = toByte(sum)
    }
  }
  return out
}

/** All rows of the image, as wide as the window; rounded to bytes, as Pillow does it between its two passes. */
function sumColumns({ pixels, width, height }: RgbPixels, columns: Taps, count: number): Uint8Array {
  const out = new Uint8Array(3 * count * height)
  let to = 0
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < count; x++) {
      const [taps, weightsAt] = [columns.counts[x] ?? 0, x * columns.most]
      const from = 3 * (y * width + (columns.starts[x] ?? 0))
      let [red, green, blue] = [ONE / 2, ONE / 2, ONE / 2]
      for (let tap = 0; tap < taps; tap++) {
        const weight = columns.weights[weightsAt + tap] ?? 0
        red += (pixels[from + 3 * tap] ?? 0) * weight
        green += (pixels[from + 3 * tap + 1] ?? 0) * weight
        blue += (pixels[from + 3 * tap + 2] ?? 0) * weight
      }
      out[to++] = toByte(red)
      out[to++] = toByte(green)
      out[to++] = toByte(blue)
    }
  }
  return out
}

function toByte(sum: number): number {
  return Math.min(255, sum >> 22)
}

/** A triangle as wide as an output is, but never narrower than an input. */
function tapsOf(length: number, size: number, outputs: { readonly from: number; readonly count: number }): Taps {
  const { from, count } = outputs
  const scale = length / size
  const reach = Math.max(1, scale)
  const most = Math.ceil(reach) * 2 + 1
  const [starts, counts] = [new Int32Array(count), new Int32Array(count)]
  const weights = new Int32Array(count * most)
  for (let at = 0; at < count; at++) {
    const centre = (from + at + 0.5) * scale
    const start = Math.max(0, Math.trunc(centre - reach + 0.5))
    const end = Math.min(length, Math.trunc(centre + reach + 0.5))
    const triangle = Array.from({ length: end - start }, (_, tap) =>
      Math.max(0, 1 - Math.abs((tap + start - centre + 0.5) / reach)),
    )
    const sum = triangle.reduce((total, weight) => total + weight, 0)
    starts[at] = start
    counts[at] = end - start
    weights.set(
      triangle.map((weight) => Math.trunc(0.5 + (weight / sum) * ONE)),
      at * most,
    )
  }
  return { most, starts, counts, weights }
}
