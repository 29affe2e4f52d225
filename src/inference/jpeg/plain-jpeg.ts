import type { ImageSize } from '../image-size.js'

const [SOF0, SOF1, DHT, SOI, SOS, DQT, DRI, COM] = [0xc0, 0xc1, 0xc4, 0xd8, 0xda, 0xdb, 0xdd, 0xfe]
const ICC_PROFILE = Buffer.from('ICC_PROFILE\0', 'latin1')

/**
 * Size of a JPEG as cameras make them: one scan, Huffman coded, 8 bits, grey or three components, no colour profile.
 * Undefined for any other, and for one whose markers are not in perfect order, which two readers may read differently.
 */
export function plainJpegSize(bytes: Uint8Array): ImageSize | undefined {
  if (bytes[0] !== 0xff || bytes[1] !== SOI) return undefined
  let frame: Frame | undefined
  for (let at = 2; ; ) {
    const code = bytes[at + 1] ?? 0
    const length = uint16(bytes, at + 2)
    const end = at + 2 + length
    if (bytes[at] !== 0xff || length < 2 || end > bytes.length) return undefined
    const segment = bytes.subarray(at + 4, end)
    if (code === SOS) return frame !== undefined && segment[0] === frame.components ? frame.size : undefined
    if (code === SOF0 || code === SOF1) {
      if (frame !== undefined) return undefined
      frame = readFrame(segment)
      if (frame === undefined) return undefined
    } else if (!isHarmless(code) || isColourProfile(code, segment)) return undefined
    at = end
  }
}

type Frame = { readonly size: ImageSize; readonly components: number }

function readFrame(segment: Uint8Array): Frame | undefined {
  const [precision] = segment
  const [height, width] = [uint16(segment, 1), uint16(segment, 3)]
  const components = segment[5] ?? 0
  const isKnown = precision === 8 && (components === 1 || components === 3)
  if (!isKnown || segment.length !== 6 + 3 * components || width === 0 || height === 0) return undefined
  return { size: { width, height }, components }
}

function isHarmless(code: number): boolean {
  return (code >= 0xe0 && code <= 0xef) || [DHT, DQT, DRI, COM].includes(code)
}

// sharp brings what has a profile to sRGB.
function isColourProfile(code: number, segment: Uint8Array): boolean {
  return code === 0xe2 && ICC_PROFILE.equals(segment.subarray(0, ICC_PROFILE.length))
}

/** 0 if the bytes end before. */
function uint16(bytes: Uint8Array, at: number): number {
  const low = bytes[at + 1]
  return low === undefined ? 0 : (bytes[at] ?? 0) * 256 + low
}
