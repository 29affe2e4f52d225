import { messageOf } from '../base/errors.js'
import { InferenceError } from './errors.js'

export type ImageSize = { readonly width: number; readonly height: number }

/** Width and height of the stored pixels, from the file's header. */
export async function readImageSize(path: string): Promise<ImageSize> {
  const { default: sharp } = await import('sharp')
  try {
    const { width, height } = await sharp(path, { limitInputPixels: false }).metadata()
    return { width, height }
  } catch (cause) {
    throw new InferenceError('LF_IMAGE_UNREADABLE', `${path} cannot be read: ${messageOf(cause)}.`, { cause })
  }
}
