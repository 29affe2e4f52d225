import { readFile } from 'node:fs/promises'
import { messageOf } from '../base/index.js'
import { ImageError } from './errors.js'
import type { ImageSize } from './image-size.js'
import { withExifFirst } from './png-exif.js'

/** Width and height of an image file as it is seen: turned as its EXIF orientation says. Reads no pixels. */
export async function readFileSize(path: string): Promise<ImageSize> {
  const { default: sharp } = await import('sharp')
  try {
    const options = { limitInputPixels: false }
    const { format, autoOrient } = await sharp(path, options).metadata()
    if (format !== 'png') return autoOrient
    return (await sharp(withExifFirst(await readFile(path)), options).metadata()).autoOrient
  } catch (cause) {
    throw new ImageError('LF_IMAGE_UNREADABLE', `${path} cannot be read: ${messageOf(cause)}.`, { cause })
  }
}
