import sharp from 'sharp'
import { messageOf } from '../base/errors.js'
import { DetectorRequestError } from './errors.js'
import type { ClientImage } from './parts.js'

const QUALITY = 92

/** The image as the Loop takes it. A JPEG stays as it came, byte by byte; anything else is encoded. Throws a 400. */
export async function toJpeg(image: ClientImage): Promise<Uint8Array> {
  if ('bytes' in image && isJpeg(image.bytes)) return image.bytes
  try {
    return await open(image).jpeg({ quality: QUALITY }).toBuffer()
  } catch (cause) {
    throw unreadable(cause)
  }
}

/** Refuses what is no image, by its head alone; pixels need no check. */
export async function checkReadable(image: ClientImage): Promise<void> {
  if ('pixels' in image) return
  try {
    const { format } = await open(image).metadata()
    if (!KNOWN_FORMATS.has(format)) throw new Error(`it is ${format}, and no JPEG, PNG or WebP`)
  } catch (cause) {
    throw unreadable(cause)
  }
}

const KNOWN_FORMATS: ReadonlySet<string> = new Set(['jpeg', 'png', 'webp'])

function open(image: ClientImage) {
  if ('bytes' in image) return sharp(image.bytes, { limitInputPixels: MAX_PIXELS })
  const { pixels, width, height, channels } = image
  return sharp(pixels, { raw: { width, height, channels }, limitInputPixels: MAX_PIXELS })
}

const MAX_PIXELS = 64_000_000

function isJpeg(bytes: Uint8Array): boolean {
  return bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff
}

function unreadable(cause: unknown): DetectorRequestError {
  const reason = messageOf(cause).trim().replaceAll('\n', ' ')
  return new DetectorRequestError(`The image cannot be read: ${reason}.`, { status: 400 }, cause)
}
