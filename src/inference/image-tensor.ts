import { type FileHandle, open } from 'node:fs/promises'
import sharp, { type Sharp } from 'sharp'
import { messageOf } from '../base/errors.js'
import { InferenceError } from './errors.js'
import type { ImageSize } from './image-size.js'
import { checkPixels, type ImageSource, type RawPixels } from './image-source.js'

/**
 * How an image is brought to the model's input size: stretched, shrunk with a grey border (letterbox), or shrunk until
 * it covers the input and cut around the middle (crop).
 */
export type Fit = 'stretch' | 'letterbox' | 'crop'

/** Where the image lies on the input: input pixel = image pixel * scale + offset. */
export type Placement = {
  readonly imageWidth: number
  readonly imageHeight: number
  readonly scaleX: number
  readonly scaleY: number
  readonly offsetX: number
  readonly offsetY: number
}

export type TensorOptions = {
  readonly width: number
  readonly height: number
  readonly fit: Fit
  /** Larger images are refused before they are decoded. */
  readonly maxPixels: number
}

const MAX_FILE_BYTES = 128 * 1024 * 1024
const LETTERBOX_GREY = 114 / 255

/**
 * Fills `target` with the image as float32 RGB planes in 0…1 and answers where it lies. Pixels are taken as they are
 * stored: an EXIF orientation is not applied, since the Loop's coordinates count stored pixels.
 */
export async function fillTensor(
  source: ImageSource,
  target: Float32Array,
  options: TensorOptions,
): Promise<Placement> {
  const image = await openImage(source)
  try {
    const imageSize = await checkedSize(image, source, options.maxPixels)
    const shown = shownSize(imageSize, options)
    const fits = shown.width === imageSize.width && shown.height === imageSize.height
    const isReady = fits && 'pixels' in source && source.channels === 3 // the decoder would only copy it
    paint(isReady ? source.pixels : await resized(image, shown, options.fit), shown, target, options)
    return placement(imageSize, shown, options)
  } catch (cause) {
    throw unreadable(source, cause)
  }
}

/** Opens an image for decoding, if its format is known; throws LF_IMAGE_UNREADABLE or LF_IMAGE_TOO_LARGE. */
export async function openImage(source: ImageSource): Promise<Sharp> {
  if ('pixels' in source) {
    checkPixels(source)
    const { pixels, width, height, channels } = source
    return sharp(pixels, { raw: { width, height, channels }, limitInputPixels: false })
  }
  const bytes = await bytesOf(source)
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
  if (width * height <= maxPixels) return { width, height }
  throw new InferenceError(
    'LF_IMAGE_TOO_LARGE',
    `The image has ${width}x${height} pixels; at most ${maxPixels} are read.`,
    { details: { imageWidth: width, imageHeight: height, maxPixels } },
  )
}

async function resized(image: Sharp, { width, height }: ImageSize, fit: Fit): Promise<Uint8Array> {
  return await image
    .resize(width, height, { fit: fit === 'crop' ? 'cover' : 'fill', kernel: 'linear' })
    .removeAlpha()
    .toColourspace('srgb') // CMYK and grey become three channels
    .raw()
    .toBuffer()
}

type Shown = { readonly width: number; readonly height: number; readonly left: number; readonly top: number }

function shownSize(
  { width: imageWidth, height: imageHeight }: ImageSize,
  { width, height, fit }: TensorOptions,
): Shown {
  if (fit !== 'letterbox') return { width, height, left: 0, top: 0 }
  const scale = Math.min(width / imageWidth, height / imageHeight)
  const shownWidth = Math.min(width, Math.max(1, Math.round(imageWidth * scale)))
  const shownHeight = Math.min(height, Math.max(1, Math.round(imageHeight * scale)))
  const left = Math.floor((width - shownWidth) / 2)
  const top = Math.floor((height - shownHeight) / 2)
  return { width: shownWidth, height: shownHeight, left, top }
}

function placement(imageSize: ImageSize, shown: Shown, options: TensorOptions): Placement {
  const { width: imageWidth, height: imageHeight } = imageSize
  if (options.fit === 'crop') {
    const scale = Math.max(options.width / imageWidth, options.height / imageHeight)
    const offsetX = (options.width - imageWidth * scale) / 2
    const offsetY = (options.height - imageHeight * scale) / 2
    return { imageWidth, imageHeight, scaleX: scale, scaleY: scale, offsetX, offsetY }
  }
  const scaleX = shown.width / imageWidth
  const scaleY = shown.height / imageHeight
  return { imageWidth, imageHeight, scaleX, scaleY, offsetX: shown.left, offsetY: shown.top }
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
