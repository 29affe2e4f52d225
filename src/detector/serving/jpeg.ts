import { checkImageSize, checkPixels, readImageHead } from '../../images/index.js'
import type { ClientImage } from './parts.js'

const QUALITY = 92
const MAX_PIXELS = 64_000_000

/** The image as the Loop takes it: a JPEG keeps its bytes; anything else is encoded as it is seen. Throws LF_IMAGE_…. */
export async function toJpeg(image: ClientImage): Promise<Uint8Array> {
  if ('bytes' in image && readImageHead(image.bytes).format === 'jpeg') return image.bytes
  // Loaded with the first image that needs it: the library is a good part of what an idle detector holds.
  const [{ default: sharp }, { decodePixels }] = await Promise.all([
    import('sharp'),
    import('../../images/pixels/index.js'),
  ])
  const { pixels, width, height, channels } = await decodePixels(image, MAX_PIXELS)
  return await sharp(pixels, { raw: { width, height, channels }, limitInputPixels: false })
    .jpeg({ quality: QUALITY })
    .toBuffer()
}

/** Refuses what is no image or too large, by its head alone. Throws LF_IMAGE_UNREADABLE and LF_IMAGE_TOO_LARGE. */
export function checkReadable(image: ClientImage): void {
  if ('pixels' in image) checkPixels(image)
  checkImageSize('pixels' in image ? image : readImageHead(image.bytes), MAX_PIXELS)
}
