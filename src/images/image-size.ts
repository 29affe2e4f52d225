import { ImageError } from './errors.js'

export type ImageSize = { readonly width: number; readonly height: number }

/** A JPEG's own limit. One row of a longer image is a picture of its own, of which decoders hold several. */
const MAX_EDGE = 65_535

/** Throws LF_IMAGE_TOO_LARGE for a longer edge or more pixels than are read. */
export function checkImageSize({ width, height }: ImageSize, maxPixels: number): void {
  const isTooLong = Math.max(width, height) > MAX_EDGE
  if (!isTooLong && width * height <= maxPixels) return
  const limit = isTooLong ? `edges of at most ${MAX_EDGE} pixels are read` : `at most ${maxPixels} are read`
  throw new ImageError('LF_IMAGE_TOO_LARGE', `The image has ${width}x${height} pixels; ${limit}.`, {
    details: { imageWidth: width, imageHeight: height, maxPixels },
  })
}
