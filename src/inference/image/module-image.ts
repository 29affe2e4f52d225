import type { ImageSize, ImageSource, OwnedImage, RawPixels } from '../../images/index.js'
import { bytesOf, decodePixels } from '../../images/pixels/index.js'

/** The image as a module sees it: as it came, or decoded when it asks for that. */
export type ModuleImage = {
  readonly source: ImageSource
  /** The encoded file; undefined for raw pixels. */
  bytes(): Promise<Uint8Array | undefined>
  /** RGB rows, decoded once; throws for a bad image, which should be let through. */
  pixels(): Promise<RawPixels>
}

/** An image on its way through a module, which may only see what a `ModuleImage` has. */
export class WrappedImage implements ModuleImage {
  readonly source: OwnedImage
  readonly #maxPixels: number
  #decoded: Promise<RawPixels> | undefined
  #size: ImageSize | undefined

  constructor(source: OwnedImage, maxPixels: number) {
    this.source = source
    this.#maxPixels = maxPixels
    if ('pixels' in source) this.#size = source
  }

  /** Its size as far as it has become known. */
  get knownSize(): ImageSize | undefined {
    return this.#size
  }

  // Closures, since a module may take them out of the image.
  readonly bytes = async (): Promise<Uint8Array | undefined> => {
    return 'pixels' in this.source ? undefined : await bytesOf(this.source)
  }

  readonly pixels = async (): Promise<RawPixels> => {
    this.#decoded ??= decodePixels(this.source, this.#maxPixels)
    const found = await this.#decoded
    this.#size = found
    return found
  }
}
