import type { Sharp } from 'sharp'
import type { ClientImage } from './parts.js'

const QUALITY = 92
const MAX_PIXELS = 64_000_000

/** The image as the Loop takes it: a JPEG stays as it came, byte by byte; anything else is encoded. Throws LF_IMAGE_…. */
export async function toJpeg(image: ClientImage): Promise<Uint8Array> {
  if ('bytes' in image && isJpeg(image.bytes)) return image.bytes
  return await withChecked(image, (opened) => opened.jpeg({ quality: QUALITY }).toBuffer())
}

/** Refuses what is no image or too large, by its head alone. Throws LF_IMAGE_UNREADABLE and LF_IMAGE_TOO_LARGE. */
export async function checkReadable(image: ClientImage): Promise<void> {
  await withChecked(image, async () => undefined)
}

async function withChecked<T>(image: ClientImage, work: (opened: Sharp) => Promise<T>): Promise<T> {
  // Loaded with the first image that needs it: the library is a good part of what an idle detector holds.
  const { checkedSize, openImage, unreadable } = await import('../inference/image-tensor.js')
  try {
    const opened = await openImage(image)
    await checkedSize(opened, image, MAX_PIXELS)
    return await work(opened)
  } catch (cause) {
    throw unreadable(image, cause)
  }
}

function isJpeg(bytes: Uint8Array): boolean {
  return bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff
}
