import type { ImageSize } from './image-size.js'
import { checkPixelCount, type OpenedImage, type RawPixels } from './image-source.js'
import { type JpegTurbo, loadJpegTurbo } from './jpeg/jpeg-turbo.js'
import { plainJpegSize } from './jpeg/plain-jpeg.js'
import type { InsideNative } from './native-guard.js'
import { type Fit, placementOn } from './placement.js'
import { loadRgbResizer, type RgbResizer } from './resize/rgb-resizer.js'

/**
 * The short way for what cameras send: plain JPEGs and RGB pixels, worked on in the thread that calls, which must be
 * one of a pool. What it answers undefined for, and what it cannot decode, goes the long way through sharp.
 */
export type FastImages = FastDecoder & {
  /** Fills `target` with RGB planes in 0…1; the image's size. Throws LF_IMAGE_TOO_LARGE. */
  fill(image: OpenedImage, input: Input, target: Float32Array): Promise<ImageSize | undefined>
}

export type FastDecoder = {
  /** RGB rows, by default in memory of their own. Throws LF_IMAGE_TOO_LARGE. */
  decode(jpeg: Uint8Array, maxPixels: number, allocate?: Allocate): Promise<RgbPixels | undefined>
}

/** Memory of so many bytes with anything in it. */
export type Allocate = (bytes: number) => Buffer

export type RgbPixels = RawPixels & { readonly channels: 3 }
type Input = ImageSize & { readonly fit: Fit; readonly maxPixels: number }

/** A JPEG's limit; the filter of a longer edge would be a picture of its own. */
const MAX_EDGE = 65_535
/** Where sizes in bytes stay within what the decoder reckons with, 31 bits. */
const MAX_PIXELS = 2 ** 28

/** Loads what there is on this platform. The decoder must not be cut off: `native` goes around it. */
export async function openFastImages(native: InsideNative): Promise<FastImages> {
  const [turbo, resizer] = await Promise.all([loadJpegTurbo(), loadRgbResizer()])
  return new FastWay({ turbo, resizer, native })
}

/** The same for the event loop: it decodes in threads of libuv. */
export async function openFastDecoder(): Promise<FastDecoder> {
  const turbo = await loadJpegTurbo()
  return { decode: (jpeg, maxPixels) => decodePlain(jpeg, { maxPixels, decode: turbo?.decodeBeside }) }
}

type Parts = {
  readonly turbo: JpegTurbo | undefined
  readonly resizer: RgbResizer | undefined
  readonly native: InsideNative
}

class FastWay implements FastImages {
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  async fill(image: OpenedImage, input: Input, target: Float32Array): Promise<ImageSize | undefined> {
    const { turbo, resizer, native } = this.#parts
    const size = 'pixels' in image ? rgbSize(image) : plainJpegSize(image.bytes)
    if (resizer === undefined || size === undefined) return undefined
    checkPixelCount(size, input.maxPixels)
    if (!isWithinLimits(size)) return undefined
    if ('pixels' in image) return resizer.fill(size, input, target, copyFrom(image.pixels)) ? size : undefined
    if (turbo === undefined || isBetterShrunkFirst(size, input)) return undefined
    const write = (rows: Uint8Array) => turbo.decode(image.bytes, rows)
    return (await native(async () => resizer.fill(size, input, target, write))) ? size : undefined
  }

  async decode(jpeg: Uint8Array, maxPixels: number, allocate?: Allocate): Promise<RgbPixels | undefined> {
    const { turbo, native } = this.#parts
    const decode = turbo && ((bytes: Uint8Array, rows: Uint8Array) => native(async () => turbo.decode(bytes, rows)))
    return await decodePlain(jpeg, { maxPixels, decode, allocate })
  }
}

type Decoding = {
  readonly maxPixels: number
  readonly decode: JpegTurbo['decodeBeside'] | undefined
  readonly allocate?: Allocate | undefined
}

async function decodePlain(jpeg: Uint8Array, decoding: Decoding): Promise<RgbPixels | undefined> {
  const { maxPixels, decode, allocate = Buffer.allocUnsafeSlow } = decoding
  const size = plainJpegSize(jpeg)
  if (decode === undefined || size === undefined) return undefined
  checkPixelCount(size, maxPixels)
  if (!isWithinLimits(size)) return undefined
  const pixels = allocate(3 * size.width * size.height) // every byte is written, or nobody sees it
  return (await decode(jpeg, pixels)) ? { pixels, ...size, channels: 3 } : undefined
}

function rgbSize({ width, height, channels }: RawPixels): ImageSize | undefined {
  return channels === 3 ? { width, height } : undefined
}

function isWithinLimits({ width, height }: ImageSize): boolean {
  return width <= MAX_EDGE && height <= MAX_EDGE && width * height <= MAX_PIXELS
}

// sharp lets libjpeg decode such an image at a fourth of its size. Measured: from two megapixels on that takes less.
function isBetterShrunkFirst(size: ImageSize, input: Input): boolean {
  const { scaleX, scaleY } = placementOn(size, input)
  return size.width * size.height > 2_000_000 && Math.max(scaleX, scaleY) <= 1 / 4
}

function copyFrom(pixels: Uint8Array): (rows: Uint8Array) => boolean {
  return (rows) => {
    rows.set(pixels)
    return true
  }
}
