import { decodePixels } from './decode-pixels.js'
import type { Allocate, FastDecoder } from './fast-images.js'
import type { ImageSize } from './image-size.js'
import type { ImageSource, OwnedImage, RawPixels } from './image-source.js'
import { bytesOf } from './image-tensor.js'

/** The image as a module sees it: as it came, or decoded when it asks for that. */
export type ModuleImage = {
  readonly source: ImageSource
  /** The encoded file; undefined for raw pixels. */
  bytes(): Promise<Uint8Array | undefined>
  /**
   * RGB rows, decoded once; throws for a bad image, which should be let through. `borrowed` rows may lie in memory that
   * later images use again: they are good until the answer, and cost less, since nothing has to be cleared away.
   */
  pixels(options?: { readonly borrowed?: boolean }): Promise<RawPixels>
}

export type ModuleImageOptions = {
  readonly maxPixels: number
  /** Undefined when the thread may be ended at any time, which decoding there would not survive. */
  readonly fast: () => FastDecoder | undefined
  /** Memory that is lent until the answer. */
  readonly lend: Allocate
}

/** Wraps an image for a module; `knownSize` is its size as far as it has become known. */
export function toModuleImage(source: OwnedImage, { maxPixels, fast, lend }: ModuleImageOptions) {
  let decoded: Promise<RawPixels> | undefined
  let isLent = false
  let size: ImageSize | undefined = 'pixels' in source ? source : undefined
  const image: ModuleImage = {
    source,
    bytes: async () => ('pixels' in source ? undefined : await bytesOf(source)),
    pixels: async ({ borrowed = false } = {}) => {
      if (decoded === undefined) {
        isLent = borrowed
        decoded = decodePixels(source, maxPixels, fast, borrowed ? lend : undefined)
      }
      const found = await decoded
      size = found
      return isLent && !borrowed ? { ...found, pixels: new Uint8Array(found.pixels) } : found
    },
  }
  return { image, knownSize: () => size }
}
