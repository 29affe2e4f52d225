import type { Allocate, FastDecoder, RgbPixels } from './fast-images.js'
import type { ImageSource } from './image-source.js'
import { checkedSize, opened, toSharp, unreadable } from './image-tensor.js'

/**
 * Decodes an image to RGB rows of its own size, as it is stored; raw pixels in RGB stay as they are. `fast` is
 * asked when the image is in memory, and takes what it can; only its pixels lie in memory of `allocate`.
 */
export async function decodePixels(
  source: ImageSource,
  maxPixels: number,
  fast?: () => FastDecoder | undefined,
  allocate?: Allocate,
): Promise<RgbPixels> {
  try {
    const found = await opened(source)
    const decoded = 'bytes' in found ? await fast?.()?.decode(found.bytes, maxPixels, allocate) : undefined
    if (decoded !== undefined) return decoded
    const image = toSharp(source, found)
    const size = await checkedSize(image, source, maxPixels)
    if ('pixels' in source && source.channels === 3) return { ...source, channels: 3 }
    const pixels = await image.removeAlpha().toColourspace('srgb').raw().toBuffer()
    return { pixels, ...size, channels: 3 }
  } catch (cause) {
    throw unreadable(source, cause)
  }
}
