/** Why bytes are no whole JPEG; undefined when they are one. */
export type JpegProblem = 'empty' | 'not-jpeg' | 'truncated' | 'broken-segment' | 'no-image' | 'bad-size'

// Pillow, which most trainers read images with, refuses more than this as a bomb.
const MAX_PIXELS = 178_956_970

const SOI = 0xd8
const EOI = 0xd9
const SOS = 0xda

/**
 * Walks through the structure of a JPEG without decoding it: segments up to the scans, entropy data up to the end
 * marker, a sane size. It finds what goes wrong on the way and on disk: cut, empty, foreign and overwritten files.
 */
export function jpegProblem(bytes: Uint8Array): JpegProblem | undefined {
  if (bytes.length === 0) return 'empty'
  if (bytes[0] !== 0xff || bytes[1] !== SOI || bytes[2] !== 0xff) return 'not-jpeg'
  let at = 2
  let hasFrame = false
  let hasScan = false
  for (;;) {
    const marker = markerAt(bytes, at)
    if (marker === undefined) return at >= bytes.length ? 'truncated' : 'broken-segment'
    at = marker.end
    if (marker.code === EOI) return hasFrame && hasScan ? undefined : 'no-image'
    if (isStandalone(marker.code)) continue
    const length = uint16(bytes, at)
    if (length === undefined || at + length > bytes.length) return 'truncated'
    if (length < 2) return 'broken-segment'
    if (isFrame(marker.code)) {
      const problem = frameProblem(bytes, at, length)
      if (problem !== undefined) return problem
      hasFrame = true
    }
    at += length
    if (marker.code !== SOS) continue
    if (!hasFrame) return 'broken-segment'
    hasScan = true
    const next = endOfEntropy(bytes, at)
    if (next === undefined) return 'truncated'
    if (next === at) return 'no-image'
    at = next
  }
}

function markerAt(bytes: Uint8Array, start: number): { readonly code: number; readonly end: number } | undefined {
  let at = start
  if (bytes[at] !== 0xff) return undefined
  while (bytes[at] === 0xff) at += 1 // fill bytes are allowed
  const code = bytes[at]
  return code === undefined || code === 0 ? undefined : { code, end: at + 1 }
}

/** Where the next marker begins; within entropy data 0xff is stuffed with 0 or begins a restart marker. */
function endOfEntropy(bytes: Uint8Array, start: number): number | undefined {
  let at = start
  for (;;) {
    at = bytes.indexOf(0xff, at)
    const code = at === -1 ? undefined : bytes[at + 1]
    if (code === undefined) return undefined
    if (code === 0xff) at += 1
    else if (code === 0 || (code >= 0xd0 && code <= 0xd7)) at += 2
    else return at
  }
}

function frameProblem(bytes: Uint8Array, at: number, length: number): JpegProblem | undefined {
  const height = uint16(bytes, at + 3)
  const width = uint16(bytes, at + 5)
  const components = bytes[at + 7] ?? 0
  if (length < 8 + 3 * components || width === undefined || height === undefined) return 'broken-segment'
  const isSane = width > 0 && height > 0 && components > 0 && width * height <= MAX_PIXELS
  return isSane ? undefined : 'bad-size'
}

function isFrame(code: number): boolean {
  return code >= 0xc0 && code <= 0xcf && code !== 0xc4 && code !== 0xc8 && code !== 0xcc
}

function isStandalone(code: number): boolean {
  return code === 0x01 || code === SOI || (code >= 0xd0 && code <= 0xd7)
}

function uint16(bytes: Uint8Array, at: number): number | undefined {
  const high = bytes[at]
  const low = bytes[at + 1]
  return high === undefined || low === undefined ? undefined : high * 256 + low
}
