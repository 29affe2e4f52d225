import { ImageError } from './errors.js'
import type { ImageSize } from './image-size.js'

/** The information in the first bytes of an image: its format and its stored size. */
export type ImageHead = ImageSize & { readonly format: 'jpeg' | 'png' | 'webp'; readonly isCmyk: boolean }

type Frame = ImageSize & { readonly isCmyk?: boolean }

/**
 * Reads format and size without decoding a pixel. Throws LF_IMAGE_UNREADABLE for every other format: libvips would also
 * open SVG, PDF and others, which can pull in more files.
 */
export function readImageHead(bytes: Uint8Array): ImageHead {
  const format = formatOf(bytes)
  if (format === undefined) {
    throw unreadable(bytes.byteLength === 0 ? 'The image is empty.' : 'The image is no JPEG, PNG or WebP.')
  }
  const frame = { jpeg: jpegFrame, png: pngFrame, webp: webpFrame }[format](bytes)
  if (frame === undefined || frame.width === 0 || frame.height === 0) {
    throw unreadable(`The image cannot be decoded: it is a ${NAMES[format]} without a size in its head.`)
  }
  const { width, height, isCmyk = false } = frame
  return { format, width, height, isCmyk }
}

const NAMES = { jpeg: 'JPEG', png: 'PNG', webp: 'WebP' } as const

function formatOf(bytes: Uint8Array): ImageHead['format'] | undefined {
  const start = textAt(bytes, 0, 12)
  if (start.startsWith('\xff\xd8\xff')) return 'jpeg'
  if (start.startsWith('\x89PNG\r\n\x1a\n')) return 'png'
  return start.startsWith('RIFF') && start.endsWith('WEBP') ? 'webp' : undefined
}

const [SOI, EOI, SOS, TEM, RST0, RST7] = [0xd8, 0xd9, 0xda, 0x01, 0xd0, 0xd7]

/** Goes from marker to marker as libjpeg does, which passes over whatever lies between two segments. */
function jpegFrame(bytes: Uint8Array): Frame | undefined {
  for (let at = 2; ; ) {
    at = bytes.indexOf(0xff, at)
    if (at === -1) return undefined
    while (bytes[at] === 0xff) at += 1
    const code = bytes[at] ?? EOI
    at += 1
    if (code === EOI || code === SOS) return undefined
    if (code === 0 || code === SOI || code === TEM || (code >= RST0 && code <= RST7)) continue
    if (isFrameMarker(code)) {
      const [height, width] = [uint16(bytes, at + 3), uint16(bytes, at + 5)]
      return { width, height, isCmyk: bytes[at + 7] === 4 }
    }
    at += Math.max(2, uint16(bytes, at))
  }
}

/** C4, C8 and CC name tables, not frames. */
function isFrameMarker(code: number): boolean {
  return code >= 0xc0 && code <= 0xcf && code !== 0xc4 && code !== 0xc8 && code !== 0xcc
}

function pngFrame(bytes: Uint8Array): Frame | undefined {
  if (bytes.byteLength < 24 || textAt(bytes, 12, 4) !== 'IHDR') return undefined
  const view = viewOf(bytes)
  return { width: view.getUint32(16), height: view.getUint32(20) }
}

function webpFrame(bytes: Uint8Array): Frame | undefined {
  if (bytes.byteLength < 30) return undefined
  const view = viewOf(bytes)
  switch (textAt(bytes, 12, 4)) {
    case 'VP8X':
      return { width: 1 + uint24(view, 24), height: 1 + uint24(view, 27) }
    case 'VP8L': {
      const edges = view.getUint32(21, true)
      return { width: 1 + (edges & 0x3fff), height: 1 + ((edges >> 14) & 0x3fff) }
    }
    case 'VP8 ':
      return { width: view.getUint16(26, true) & 0x3fff, height: view.getUint16(28, true) & 0x3fff }
    default:
      return undefined
  }
}

function uint24(view: DataView, at: number): number {
  return view.getUint16(at, true) + 65_536 * view.getUint8(at + 2)
}

/** 0 if the bytes end before. */
function uint16(bytes: Uint8Array, at: number): number {
  const low = bytes[at + 1]
  return low === undefined ? 0 : (bytes[at] ?? 0) * 256 + low
}

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength)
}

function textAt(bytes: Uint8Array, at: number, length: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + length))
}

function unreadable(sentence: string): ImageError {
  return new ImageError('LF_IMAGE_UNREADABLE', sentence)
}
