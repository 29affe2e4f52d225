import sharp, { type Sharp } from 'sharp'
import { messageOf } from '../../base/index.js'
import { checkImageSize, ImageError, type ImageHead, type ImageSize, readImageHead, withExifFirst } from '../index.js'
import { hasEveryBlock } from './jpeg-blocks.js'
import { closedTwice, filledAtEnd, hasGreyEdge, type Rows } from './jpeg-end.js'

/** RGB rows from the top. */
export type RgbImage = ImageSize & { readonly pixels: Uint8Array; readonly channels: 3 }

export type DecodeOptions = {
  /** More are refused by the head, before a pixel is decoded. */
  readonly maxPixels: number
}

/**
 * Decodes a JPEG, PNG or WebP to the pixels that OpenCV reads: turned as its EXIF orientation says, colour profiles not
 * converted, alpha dropped, 16 bits cut to 8. Throws LF_IMAGE_UNREADABLE and LF_IMAGE_TOO_LARGE.
 */
export async function decodeImage(bytes: Uint8Array, { maxPixels }: DecodeOptions): Promise<RgbImage> {
  const head = readImageHead(bytes)
  checkImageSize(head, maxPixels)
  const raw = await rowsOf(bytes, head).catch(async (cause: unknown) => {
    const rows = await rowsWithoutEnd(bytes, head)
    if (rows !== undefined) return rows
    throw unreadable(messageOf(cause).trim().replaceAll('\n', ' '), cause)
  })
  if (await isClosedEarly(bytes, head, raw)) throw unreadable('its last rows are missing')
  return head.isCmyk ? fromCmyk(raw) : toRgb(raw)
}

function unreadable(reason: string, cause?: unknown): ImageError {
  return new ImageError('LF_IMAGE_UNREADABLE', `The image cannot be decoded: ${reason}.`, { cause })
}

/** Whether these are a JPEG all of whose rows the decoder produces; what is wrong within a row only spoils the picture. */
export async function isWholeJpeg(bytes: Uint8Array, { maxPixels }: DecodeOptions): Promise<boolean> {
  try {
    const head = readImageHead(bytes)
    checkImageSize(head, maxPixels)
    return head.format === 'jpeg' && (await hasAllRows(bytes, head))
  } catch (error) {
    if (error instanceof ImageError) return false
    throw error
  }
}

async function hasAllRows(bytes: Uint8Array, head: ImageHead): Promise<boolean> {
  if (hasEveryBlock(bytes)) return true
  try {
    if (!hasGreyEdge(await eighthOf(bytes, head), 8)) return true
  } catch {
    return (await rowsWithoutEnd(bytes, head)) !== undefined
  }
  return !(await isClosedEarly(bytes, head, await rowsOf(bytes, head)))
}

/** Reads all of the file and needs next to no memory. Rows are left out, not averaged, so that the last one stays as it is. */
async function eighthOf(bytes: Uint8Array, head: ImageHead): Promise<Rows> {
  const width = Math.max(1, Math.floor(head.width / 8))
  return await rawOf(open(bytes, head).resize({ width, kernel: 'nearest' }))
}

/** All rows in RGB, or in inks. */
async function rowsOf(bytes: Uint8Array, head: ImageHead): Promise<Rows> {
  return await rawOf(open(bytes, head).autoOrient())
}

function open(bytes: Uint8Array, { format, width, height, isCmyk }: ImageHead): Sharp {
  const file = format === 'png' ? withExifFirst(bytes) : bytes
  const image = sharp(file, { failOn: 'error', limitInputPixels: width * height, ignoreIcc: true })
  return isCmyk ? inCmyk(image) : image.removeAlpha().toColourspace('srgb')
}

async function rawOf(image: Sharp): Promise<Rows> {
  // Not toUint8Array: sharp 0.35.5 never frees the rows that it copies there.
  const { data, info } = await image.raw().toBuffer({ resolveWithObject: true })
  return { pixels: data, width: info.width, height: info.height, channels: info.channels }
}

/** Without these two, libvips converts the inks by a profile of its own. */
function inCmyk(image: Sharp): Sharp {
  return image.pipelineColourspace('cmyk').toColourspace('cmyk')
}

function toRgb({ channels, ...image }: Rows): RgbImage {
  if (channels !== 3) throw unreadable(`it has ${channels} channels`)
  return { ...image, channels }
}

/** The whole numbers of OpenCV; libvips hands out inks, of which OpenCV sees the complement. */
function fromCmyk({ pixels: inks, width, height, channels }: Rows): RgbImage {
  if (channels !== 4) throw unreadable(`it has ${channels} channels instead of four inks`)
  const pixels = new Uint8Array(3 * width * height)
  for (let from = 0, to = 0; to < pixels.length; from += 4) {
    const black = 255 - (inks[from + 3] ?? 0)
    for (let ink = from; ink < from + 3; ink++) pixels[to++] = black - (((inks[ink] ?? 0) * black) >> 8)
  }
  return { pixels, width, height, channels: 3 }
}

/**
 * A JPEG whose end marker is missing although all of its rows are there, as some cameras send it. libjpeg makes up what
 * is missing, so it is asked twice: a picture that lacks rows depends on what is put behind it.
 */
async function rowsWithoutEnd(bytes: Uint8Array, head: ImageHead): Promise<Rows | undefined> {
  if (head.format !== 'jpeg') return undefined
  const [once, again] = closedTwice(bytes)
  try {
    const [ended, filled] = [await rowsOf(once, head), await rowsOf(again, head)]
    return isSamePicture(ended, filled) ? ended : undefined
  } catch {
    return undefined // the first error says what is wrong
  }
}

/** The same question for a JPEG with an end marker, which may stand behind half a picture. */
async function isClosedEarly(bytes: Uint8Array, head: ImageHead, rows: Rows): Promise<boolean> {
  if (head.format !== 'jpeg' || !hasGreyEdge(rows)) return false
  const filled = filledAtEnd(bytes)
  if (filled === undefined) return false
  return await rowsOf(filled, head).then(
    (again) => !isSamePicture(rows, again),
    () => true,
  )
}

function isSamePicture(one: Rows, other: Rows): boolean {
  return Buffer.compare(one.pixels, other.pixels) === 0
}
