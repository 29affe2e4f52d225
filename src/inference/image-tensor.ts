import { type FileHandle, open } from 'node:fs/promises'
import sharp, { type Sharp } from 'sharp'
import { messageOf } from '../base/errors.js'
import { InferenceError } from './errors.js'
import type { FastImages } from './fast-images.js'
import type { ImageSize } from './image-size.js'
import { checkPixelCount, checkPixels, type ImageSource, type OpenedImage, type RawPixels } from './image-source.js'
import { type Fit, LETTERBOX_GREY, type Placement, placementOn, type Shown, shownOn } from './placement.js'

export type TensorOptions = {
  readonly width: number
  readonly height: number
  readonly fit: Fit
  /** Larger images are refused before they are decoded. */
  readonly maxPixels: number
}

const MAX_FILE_BYTES = 128 * 1024 * 1024

/**
 * Fills `target` with the image as float32 RGB planes in 0…1 and answers where it lies. Pixels are taken as they are
 * stored: an EXIF orientation is not applied, since the Loop's coordinates count stored pixels. `fast` takes what it can.
 */
export async function fillTensor(
  source: ImageSource,
  target: Float32Array,
  options: TensorOptions,
  fast?: FastImages,
): Promise<Placement> {
  const image = await opened(source)
  try {
    const imageSize = (await fast?.fill(image, options, target)) ?? (await fillBySharp(source, image, target, options))
    return placementOn(imageSize, options)
  } catch (cause) {
    throw unreadable(source, cause)
  }
}

async function fillBySharp(
  source: ImageSource,
  found: OpenedImage,
  target: Float32Array,
  options: TensorOptions,
): Promise<ImageSize> {
  const image = toSharp(source, found)
  const imageSize = await checkedSize(image, source, options.maxPixels)
  const shown = shownOn(imageSize, options)
  paint(await resized(image, shown, options.fit), shown, target, options)
  return imageSize
}

/** Opens an image for decoding, if its format is known; throws LF_IMAGE_UNREADABLE or LF_IMAGE_TOO_LARGE. */
export async function openImage(source: ImageSource): Promise<Sharp> {
  return toSharp(source, await opened(source))
}

/** The image in memory; throws LF_IMAGE_UNREADABLE and LF_IMAGE_TOO_LARGE for what cannot be read or be pixels. */
export async function opened(source: ImageSource): Promise<OpenedImage> {
  if (!('pixels' in source)) return { bytes: await bytesOf(source) }
  checkPixels(source)
  return source
}

export function toSharp(source: ImageSource, image: OpenedImage): Sharp {
  if ('pixels' in image) {
    const { pixels, width, height, channels } = image
    return sharp(pixels, { raw: { width, height, channels }, limitInputPixels: false })
  }
  const { bytes } = image
  if (isKnownFormat(bytes)) return sharp(bytes, { failOn: 'error', limitInputPixels: false })
  const what = bytes.byteLength === 0 ? 'is empty' : 'is no JPEG, PNG or WebP'
  throw new InferenceError('LF_IMAGE_UNREADABLE', `${nameOf(source)} ${what}.`)
}

/** The encoded image; read from its file if it is one. */
export async function bytesOf(source: Exclude<ImageSource, RawPixels>): Promise<Uint8Array> {
  return 'path' in source ? await readImageFile(source.path) : source.bytes
}

/** What decoding threw, as LF_IMAGE_UNREADABLE. */
export function unreadable(source: ImageSource, cause: unknown): InferenceError {
  if (cause instanceof InferenceError) return cause
  const reason = messageOf(cause).trim().replaceAll('\n', ' ')
  return new InferenceError('LF_IMAGE_UNREADABLE', `${nameOf(source)} cannot be decoded: ${reason}.`, { cause })
}

/** Width and height, from the header of an encoded image; throws LF_IMAGE_TOO_LARGE for more pixels than are read. */
export async function checkedSize(image: Sharp, source: ImageSource, maxPixels: number): Promise<ImageSize> {
  const { width, height } = 'pixels' in source ? source : await image.metadata()
  checkPixelCount({ width, height }, maxPixels)
  return { width, height }
}

async function resized(image: Sharp, { width, height }: ImageSize, fit: Fit): Promise<Uint8Array> {
  return await image
    .resize(width, height, { fit: fit === 'crop' ? 'cover' : 'fill', kernel: 'linear' })
    .removeAlpha()
    .toColourspace('srgb') // CMYK and grey become three channels
    .raw()
    .toBuffer()
}

function paint(pixels: Uint8Array, shown: Shown, target: Float32Array, { width, height }: TensorOptions): void {
  const plane = width * height
  if (shown.width !== width || shown.height !== height) target.fill(LETTERBOX_GREY)
  let from = 0
  for (let y = 0; y < shown.height; y++) {
    let to = (y + shown.top) * width + shown.left
    for (let x = 0; x < shown.width; x++) {
      target[to] = (pixels[from] ?? 0) / 255
      target[to + plane] = (pixels[from + 1] ?? 0) / 255
      target[to + 2 * plane] = (pixels[from + 2] ?? 0) / 255
      from += 3
      to += 1
    }
  }
}

async function readImageFile(path: string): Promise<Uint8Array> {
  let file: FileHandle | undefined
  try {
    file = await open(path, 'r')
    const { size } = await file.stat()
    if (size > MAX_FILE_BYTES) {
      throw new InferenceError('LF_IMAGE_TOO_LARGE', `${path} has ${size} bytes; at most ${MAX_FILE_BYTES} are read.`)
    }
    return await file.readFile()
  } catch (cause) {
    if (cause instanceof InferenceError) throw cause
    throw new InferenceError('LF_IMAGE_UNREADABLE', `${path} cannot be read: ${messageOf(cause)}.`, { cause })
  } finally {
    await file?.close()
  }
}

// Only what cameras and the Loop send: libvips would also open SVG, PDF and others, which can pull in more files.
function isKnownFormat(bytes: Uint8Array): boolean {
  const start = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(12, bytes.byteLength)).toString('latin1')
  const isWebp = start.startsWith('RIFF') && start.endsWith('WEBP')
  return start.startsWith('\xff\xd8\xff') || start.startsWith('\x89PNG\r\n\x1a\n') || isWebp
}

function nameOf(source: ImageSource): string {
  return 'path' in source ? source.path : 'The image'
}
