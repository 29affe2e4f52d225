import type { Sharp } from 'sharp'
import { checkedSize, openImage, unreadable } from '../inference/image-tensor.js'
import type { ClientImage } from './parts.js'

const QUALITY = 92
const MAX_PIXELS = 64_000_000

/** The image as the Loop takes it: a JPEG stays as it came, byte by byte; anything else is encoded. Throws LF_IMAGE_…. */
export async function toJpeg(image: ClientImage): Promise<Uint8Array> {
  if ('bytes' in image && isJpeg(image.bytes)) return image.bytes
  try {
    return await (await openChecked(image)).jpeg({ quality: QUALITY }).toBuffer()
  } catch (cause) {
    throw unreadable(image, cause)
  }
}

/** Refuses what is no image or too large, by its head alone. Throws LF_IMAGE_UNREADABLE and LF_IMAGE_TOO_LARGE. */
export async function checkReadable(image: ClientImage): Promise<void> {
  try {
    await openChecked(image)
  } catch (cause) {
    throw unreadable(image, cause)
  }
}

async function openChecked(image: ClientImage): Promise<Sharp> {
  const opened = await openImage(image)
  await checkedSize(opened, image, MAX_PIXELS)
  return opened
}

function isJpeg(bytes: Uint8Array): boolean {
  return bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff
}
