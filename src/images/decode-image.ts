import sharp, { type Sharp } from 'sharp'
import { messageOf } from '../base/errors.js'
import { ImageError } from './errors.js'
import { type ImageHead, readImageHead } from './image-head.js'
import { checkImageSize, type ImageSize } from './image-size.js'

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
  try {
    return await decode(bytes, head)
  } catch (cause) {
    const image = head.format === 'jpeg' ? await decodeWithoutEnd(bytes, head) : undefined
    if (image !== undefined) return image
    const reason = messageOf(cause).trim().replaceAll('\n', ' ')
    throw new ImageError('LF_IMAGE_UNREADABLE', `The image cannot be decoded: ${reason}.`, { cause })
  }
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
  try {
    // At an eighth of the size, which reads all of the file and needs next to no memory.
    await open(bytes, head)
      .resize({ width: Math.ceil(head.width / 8) })
      .raw()
      .toBuffer()
    return true
  } catch {
    return (await decodeWithoutEnd(bytes, head)) !== undefined
  }
}

function open(bytes: Uint8Array, { width, height }: ImageHead): Sharp {
  return sharp(bytes, { failOn: 'error', limitInputPixels: width * height, ignoreIcc: true })
}

async function decode(bytes: Uint8Array, head: ImageHead): Promise<RgbImage> {
  const image = open(bytes, head)
  return head.isCmyk ? fromCmyk(await rawOf(inCmyk(image))) : toRgb(await rawOf(inSrgb(image)))
}

type Raw = ImageSize & { readonly pixels: Uint8Array; readonly channels: number }

async function rawOf(image: Sharp): Promise<Raw> {
  // Not toUint8Array: sharp 0.35.5 never frees the rows that it copies there.
  const { data, info } = await image.autoOrient().raw().toBuffer({ resolveWithObject: true })
  return { pixels: data, width: info.width, height: info.height, channels: info.channels }
}

function inSrgb(image: Sharp): Sharp {
  return image.removeAlpha().toColourspace('srgb')
}

/** Without these two, libvips converts the inks by a profile of its own. */
function inCmyk(image: Sharp): Sharp {
  return image.pipelineColourspace('cmyk').toColourspace('cmyk')
}

function toRgb({ channels, ...image }: Raw): RgbImage {
  if (channels !== 3) throw new Error(`it has ${channels} channels`)
  return { ...image, channels }
}

/** The whole numbers of OpenCV; libvips hands out inks, of which OpenCV sees the complement. */
function fromCmyk({ pixels: inks, width, height, channels }: Raw): RgbImage {
  if (channels !== 4) throw new Error(`it has ${channels} channels instead of four inks`)
  const pixels = new Uint8Array(3 * width * height)
  for (let from = 0, to = 0; to < pixels.length; from += 4) {
    const black = 255 - (inks[from + 3] ?? 0)
    for (let ink = from; ink < from + 3; ink++) pixels[to++] = black - (((inks[ink] ?? 0) * black) >> 8)
  }
  return { pixels, width, height, channels: 3 }
}

const END_MARKER = Buffer.from([0xff, 0xd9])
/** Begins with a bit that is set, since libjpeg goes on with zeros. */
const FILLER = Buffer.alloc(512, Buffer.from([0xb5, 0x6d, 0x93, 0xca]))
/** What makes a 0xff at the end of the data a byte of them, not the begin of a marker. */
const STUFFING = Buffer.from([0x00])

/**
 * A JPEG whose end marker is missing although all of its rows are there, as some cameras send it. libjpeg makes up what
 * is missing, so it is asked twice: a picture that lacks rows depends on what is put behind it.
 */
async function decodeWithoutEnd(bytes: Uint8Array, head: ImageHead): Promise<RgbImage | undefined> {
  const filler = bytes.at(-1) === 0xff ? [STUFFING, FILLER] : [FILLER]
  const both = [Buffer.concat([bytes, END_MARKER]), Buffer.concat([bytes, ...filler, END_MARKER])]
  try {
    const [ended, filled] = [await decode(both[0] ?? bytes, head), await decode(both[1] ?? bytes, head)]
    return Buffer.compare(ended.pixels, filled.pixels) === 0 ? ended : undefined
  } catch {
    return undefined // the first error says what is wrong
  }
}
