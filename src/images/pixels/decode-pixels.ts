import { type FileHandle, open } from 'node:fs/promises'
import { messageOf } from '../../base/index.js'
import { checkImageSize, checkPixels, ImageError, type ImageSource, type RawPixels } from '../index.js'
import { decodeImage } from './decode-image.js'

/** RGB rows; those of raw RGB pixels are the caller's own. */
export type RgbPixels = RawPixels & { readonly channels: 3 }

const MAX_FILE_BYTES = 128 * 1024 * 1024

/** RGB rows of an image, turned as its EXIF orientation says. Throws LF_IMAGE_UNREADABLE and LF_IMAGE_TOO_LARGE. */
export async function decodePixels(source: ImageSource, maxPixels: number): Promise<RgbPixels> {
  if ('pixels' in source) {
    checkPixels(source)
    checkImageSize(source, maxPixels)
    return toRgb(source)
  }
  const bytes = await bytesOf(source)
  if (!('path' in source)) return await decodeImage(bytes, { maxPixels })
  return await decodeImage(bytes, { maxPixels }).catch((error: unknown) => {
    throw withPath(source.path, error)
  })
}

/** The encoded image; read from its file if it is one. */
export async function bytesOf(source: Exclude<ImageSource, RawPixels>): Promise<Uint8Array> {
  return 'path' in source ? await readImageFile(source.path) : source.bytes
}

function toRgb(source: RawPixels): RgbPixels {
  const { pixels, width, height, channels } = source
  if (channels === 3) return { ...source, channels }
  const rgb = new Uint8Array(3 * width * height)
  const [green, blue] = channels === 1 ? [0, 0] : [1, 2]
  for (let from = 0, to = 0; to < rgb.length; from += channels) {
    rgb[to++] = pixels[from] ?? 0
    rgb[to++] = pixels[from + green] ?? 0
    rgb[to++] = pixels[from + blue] ?? 0
  }
  return { pixels: rgb, width, height, channels: 3 }
}

async function readImageFile(path: string): Promise<Uint8Array> {
  let file: FileHandle | undefined
  try {
    file = await open(path, 'r')
    const { size } = await file.stat()
    if (size > MAX_FILE_BYTES) {
      throw new ImageError('LF_IMAGE_TOO_LARGE', `${path} has ${size} bytes; at most ${MAX_FILE_BYTES} are read.`)
    }
    return await file.readFile()
  } catch (cause) {
    if (cause instanceof ImageError) throw cause
    throw new ImageError('LF_IMAGE_UNREADABLE', `${path} cannot be read: ${messageOf(cause)}.`, { cause })
  } finally {
    await file?.close()
  }
}

function withPath(path: string, error: unknown): unknown {
  if (!(error instanceof ImageError)) return error
  const { code, details } = error
  return new ImageError(code, error.message.replace(/^The image/, path), { cause: error, details })
}
