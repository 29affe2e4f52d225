import type { ImageSource, RawPixels } from './image-source.js'
import { checkedSize, openImage, unreadable } from './image-tensor.js'

/** Decodes an image to RGB rows of its own size, as it is stored; raw pixels in RGB stay as they are. */
export async function decodePixels(source: ImageSource, maxPixels: number): Promise<RawPixels & { channels: 3 }> {
  try {
    const image = await openImage(source)
    const size = await checkedSize(image, source, maxPixels)
    if ('pixels' in source && source.channels === 3) return { ...source, channels: 3 }
    const pixels = await image.removeAlpha().toColourspace('srgb').raw().toBuffer()
    return { pixels, ...size, channels: 3 }
  } catch (cause) {
    throw unreadable(source, cause)
  }
}
