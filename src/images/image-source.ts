import { ImageError } from './errors.js'

/** Raw rows from the top, a byte per channel: grey, RGB or RGBA. */
export type RawPixels = {
  readonly pixels: Uint8Array
  readonly width: number
  readonly height: number
  readonly channels: 1 | 3 | 4
}

/** An image as a caller has it: a file, an encoded image (JPEG, PNG, WebP), or pixels. */
export type ImageSource = { readonly path: string } | { readonly bytes: Uint8Array } | RawPixels

/** An image whose memory belongs to it alone, so that it can be moved to a thread. */
export type OwnedImage =
  | { readonly path: string }
  | { readonly bytes: Uint8Array<ArrayBuffer> }
  | (RawPixels & { readonly pixels: Uint8Array<ArrayBuffer> })

/** Copies the image's memory once; not at all if it `mayMove` and has a buffer of its own. */
export function toOwned(image: ImageSource, mayMove: boolean): OwnedImage {
  if ('path' in image) return { path: image.path }
  if ('bytes' in image) return { bytes: ownMemory(image.bytes, mayMove) }
  const { width, height, channels } = image
  return { pixels: ownMemory(image.pixels, mayMove), width, height, channels }
}

/** Bytes of memory of the image; none for one in a file. */
export function memoryOf(image: ImageSource): number {
  if ('path' in image) return 0
  return 'bytes' in image ? image.bytes.byteLength : image.pixels.byteLength
}

/** The buffers to move with an image. */
export function buffersOf(image: OwnedImage): ArrayBuffer[] {
  if ('path' in image) return []
  return ['bytes' in image ? image.bytes.buffer : image.pixels.buffer]
}

/** Throws LF_IMAGE_UNREADABLE if size and bytes of raw pixels do not belong together. */
export function checkPixels({ pixels, width, height, channels }: RawPixels): void {
  const isSize = [width, height].every((edge) => Number.isInteger(edge) && edge >= 1)
  if (isSize && [1, 3, 4].includes(channels) && pixels.byteLength === width * height * channels) return
  throw new ImageError(
    'LF_IMAGE_UNREADABLE',
    `${pixels.byteLength} bytes are no image of ${width}x${height} pixels with ${channels} channels.`,
    { details: { width, height, channels, bytes: pixels.byteLength } },
  )
}

function ownMemory(memory: Uint8Array, mayMove: boolean): Uint8Array<ArrayBuffer> {
  const { buffer, byteLength } = memory
  if (mayMove && buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) return new Uint8Array(buffer)
  return new Uint8Array(memory) // a Buffer may share its memory with others
}
