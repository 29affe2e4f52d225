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
   * later images use again: they are good until the answer, as is the whole image if nothing else is asked of it, and
   * cost less, since nothing has to be cleared away.
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

/** An image on its way through a module, which may only see what a `ModuleImage` has. */
export class WrappedImage implements ModuleImage {
  readonly #source: OwnedImage
  readonly #options: ModuleImageOptions
  #decoded: Promise<RawPixels> | undefined
  #size: ImageSize | undefined
  #isLent = false
  #isDecoded = false
  #isKept = false
  #isGone = false

  constructor(source: OwnedImage, options: ModuleImageOptions) {
    this.#source = source
    this.#options = options
    if ('pixels' in source) this.#size = source
  }

  /** Its size as far as it has become known. */
  get knownSize(): ImageSize | undefined {
    return this.#size
  }

  get source(): ImageSource {
    this.#isKept = true
    return this.#source
  }

  // Closures, since a module may take them out of the image.
  readonly bytes = async (): Promise<Uint8Array | undefined> => {
    this.#checkNotGone()
    this.#isKept = true
    return 'pixels' in this.#source ? undefined : await bytesOf(this.#source)
  }

  readonly pixels = async ({ borrowed = false } = {}): Promise<RawPixels> => {
    this.#checkNotGone()
    this.#isKept ||= !borrowed
    if (this.#decoded === undefined) {
      const { maxPixels, fast, lend } = this.#options
      this.#isLent = borrowed
      this.#decoded = decodePixels(this.#source, maxPixels, fast, borrowed ? lend : undefined)
    }
    const found = await this.#decoded
    this.#isDecoded = true
    this.#size = found
    return this.#isLent && !borrowed ? { ...found, pixels: new Uint8Array(found.pixels) } : found
  }

  /** After the answer: the image, if the module has had nothing but borrowed rows, so that nobody reads it any more. */
  takeBack(): OwnedImage | undefined {
    this.#isGone = this.#isDecoded && !this.#isKept
    return this.#isGone ? this.#source : undefined
  }

  #checkNotGone(): void {
    if (this.#isGone)
      throw new Error('This image was good until the answer, since only borrowed rows were asked of it.')
  }
}
