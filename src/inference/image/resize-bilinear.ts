import type { ImageSize } from '../../images/index.js'
import type { RgbPixels } from '../../images/pixels/index.js'
import { roundToEven } from './round-to-even.js'

/** Weights are whole numbers of this share, as in OpenCV. */
const ONE = 2048

/** For each output the two inputs it lies between and their weights. */
type Taps = {
  readonly first: Int32Array
  readonly second: Int32Array
  readonly firstWeight: Int32Array
  readonly secondWeight: Int32Array
}

/**
 * Resizes RGB rows to the very numbers of OpenCV's `resize` with `INTER_LINEAR`: two inputs per axis, also where an image
 * is shrunk, in whole numbers. OpenCV takes the mean of four where both edges are halved.
 */
export function resizeBilinear(image: RgbPixels, size: ImageSize): Uint8Array {
  if (image.width === size.width && image.height === size.height) return image.pixels
  if (image.width === 2 * size.width && image.height === 2 * size.height) return halved(image, size)
  const { pixels } = image
  const columns = tapsOf({ length: image.width, count: size.width, stride: 3, edge: 'whole' })
  const rows = tapsOf({ length: image.height, count: size.height, stride: 3 * image.width, edge: 'split' })
  const out = new Uint8Array(3 * size.width * size.height)
  let to = 0
  for (let y = 0; y < size.height; y++) {
    const [upper, lower] = [rows.first[y] ?? 0, rows.second[y] ?? 0]
    const [upperWeight, lowerWeight] = [rows.firstWeight[y] ?? 0, rows.secondWeight[y] ?? 0]
    for (let x = 0; x < size.width; x++) {
      const left = columns.first[x] ?? 0
      const right = columns.second[x] ?? 0
      const leftWeight = columns.firstWeight[x] ?? 0
      const rightWeight = columns.secondWeight[x] ?? 0
      for (let channel = 0; channel < 3; channel++) {
        const above =
          (pixels[upper + left + channel] ?? 0) * leftWeight + (pixels[upper + right + channel] ?? 0) * rightWeight
        const below =
          (pixels[lower + left + channel] ?? 0) * leftWeight + (pixels[lower + right + channel] ?? 0) * rightWeight
        const sum = (((above >> 4) * upperWeight) >> 16) + (((below >> 4) * lowerWeight) >> 16)
        out[to++] = (sum + 2) >> 2
      }
    }
  }
  return out
}

type Axis = {
  readonly length: number
  readonly count: number
  readonly stride: number
  /** Beyond an edge lies what is at the edge: one input with the whole weight, or one twice, which rounds differently. */
  readonly edge: 'whole' | 'split'
}

/** Places in 32-bit floats, as OpenCV has them. */
function tapsOf({ length, count, stride, edge }: Axis): Taps {
  const scale = 1 / (count / length)
  const [first, second] = [new Int32Array(count), new Int32Array(count)]
  const [firstWeight, secondWeight] = [new Int32Array(count), new Int32Array(count)]
  for (let at = 0; at < count; at++) {
    const place = Math.fround((at + 0.5) * scale - 0.5)
    const floor = Math.floor(place)
    const isInside = floor >= 0 && floor < length - 1
    const share = isInside || edge === 'split' ? Math.fround(place - floor) : 0
    first[at] = clamp(floor, length) * stride
    second[at] = clamp(floor + 1, length) * stride
    firstWeight[at] = roundToEven(Math.fround(1 - share) * ONE)
    secondWeight[at] = roundToEven(share * ONE)
  }
  return { first, second, firstWeight, secondWeight }
}

function clamp(at: number, length: number): number {
  return Math.min(length - 1, Math.max(0, at))
}

function halved({ pixels, width }: RgbPixels, size: ImageSize): Uint8Array {
  const out = new Uint8Array(3 * size.width * size.height)
  const row = 3 * width
  let to = 0
  for (let y = 0; y < size.height; y++) {
    for (let x = 0; x < size.width; x++) {
      const from = 2 * y * row + 6 * x
      for (let at = from; at < from + 3; at++) {
        const above = (pixels[at] ?? 0) + (pixels[at + 3] ?? 0)
        const below = (pixels[at + row] ?? 0) + (pixels[at + row + 3] ?? 0)
        out[to++] = (above + below + 2) >> 2
      }
    }
  }
  return out
}
