import type { ImageSize } from '../images/image-size.js'
import { bytesOf, decodePixels } from './decode-pixels.js'
import type { ImageSource, OwnedImage, RawPixels } from './image-source.js'

/** The image as a module sees it: as it came, or decoded when it asks for that. */
export type ModuleImage = {
  readonly source: ImageSource
  /** The encoded file; undefined for raw pixels. */
  bytes(): Promise<Uint8Array | undefined>
  /**
   * RGB rows, decoded once; throws for a bad image, which should be let through. `borrowed` rows are good until the
   * answer, as is the whole image if nothing else is asked of it: its memory is given back then, without waiting for
   * the collector.
   */
  pixels(options?: { readonly borrowed?: boolean }): Promise<RawPixels>
}

/** An image on its way through a module, which may only see what a `ModuleImage` has. */
export class WrappedImage implements ModuleImage {
  readonly #source: OwnedImage
  readonly #maxPixels: number
  #decoded: Promise<RawPixels> | undefined
  #isDecoded = false
  #size: ImageSize | undefined
  #isKept = false
  #isGone = false

  constructor(source: OwnedImage, maxPixels: number) {
    this.#source = source
    this.#maxPixels = maxPixels
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
    this.#decoded ??= decodePixels(this.#source, this.#maxPixels)
    const found = await this.#decoded
    this.#isDecoded = true
    this.#size = found
    return found
  }

  /** After the answer: the image, if the module has had nothing but borrowed rows, so that nobody reads it any more. */
  takeBack(): OwnedImage[] {
    this.#isGone = this.#isDecoded && !this.#isKept
    return this.#isGone ? [this.#source] : []
  }

  #checkNotGone(): void {
    if (this.#isGone)
      throw new Error('This image was good until the answer, since only borrowed rows were asked of it.')
  }
}
