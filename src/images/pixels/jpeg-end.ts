/** Pixels as the decoder gives them: RGB or, of a CMYK image, inks. */
export type Rows = {
  readonly pixels: Uint8Array
  readonly width: number
  readonly height: number
  readonly channels: number
}

const END_MARKER = Buffer.from([0xff, 0xd9])
/** Begins with a bit that is set, since libjpeg goes on with zeros. */
const SOME_DATA = Buffer.alloc(512, Buffer.from([0xb5, 0x6d, 0x93, 0xca]))
/** With each restart marker, since data that end just before one go on behind the right one only. */
const FILLER = Buffer.concat([
  SOME_DATA,
  ...Array.from({ length: 8 }, (_, number) => Buffer.from([0xff, 0xd0 + number, ...SOME_DATA])),
])
/** What makes a 0xff at the end of the data a byte of them, not the begin of a marker. */
const STUFFING = Buffer.from([0x00])

const [FIRST_WITH_LENGTH, SOI, EOI, RST0, RST7] = [0xc0, 0xd8, 0xd9, 0xd0, 0xd7]

/** The JPEG with an end marker, and with more data before it: two pictures if it lacks rows, since libjpeg makes them up. */
export function closedTwice(bytes: Uint8Array): readonly [Buffer, Buffer] {
  return [Buffer.concat([bytes, END_MARKER]), Buffer.concat([bytes, ...fillerBehind(bytes), END_MARKER])]
}

/** The JPEG with more data before its own end marker, or undefined if it has none. */
export function filledAtEnd(bytes: Uint8Array): Buffer | undefined {
  const end = endMarkerOf(bytes)
  if (end === undefined) return undefined
  const data = bytes.subarray(0, end)
  return Buffer.concat([data, ...fillerBehind(data), bytes.subarray(end)])
}

function fillerBehind(data: Uint8Array): readonly Buffer[] {
  return data.at(-1) === 0xff ? [STUFFING, FILLER] : [FILLER]
}

/** Where the decoder stops reading: at the first end marker that lies within no segment. */
function endMarkerOf(bytes: Uint8Array): number | undefined {
  for (let at = 2; ; ) {
    const marker = bytes.indexOf(0xff, at)
    if (marker === -1) return undefined
    at = marker
    while (bytes[at] === 0xff) at += 1
    const code = bytes[at]
    at += 1
    if (code === undefined) return undefined
    if (code === EOI) return at - 2
    if (hasLength(code)) at += Math.max(2, (bytes[at] ?? 0) * 256 + (bytes[at + 1] ?? 0))
  }
}

function hasLength(code: number): boolean {
  return code >= FIRST_WITH_LENGTH && code !== SOI && !(code >= RST0 && code <= RST7)
}

/** What libjpeg makes of rows without data, grey or half of the ink. */
const MADE_UP = 128

/**
 * Whether an edge of the picture looks as if it had been made up, give or take the rounding or what a smaller picture
 * adds; only a hint, since walls may be grey.
 */
export function hasGreyEdge({ pixels, width, height, channels }: Rows, tolerance = 2): boolean {
  const row = width * channels
  const isGrey = (from: number, step: number, count: number) => {
    for (let at = from, left = count; left > 0; at += step, left -= 1) {
      for (let channel = at; channel < at + channels; channel += 1) {
        if (Math.abs((pixels[channel] ?? 0) - MADE_UP) > tolerance) return false
      }
    }
    return true
  }
  return (
    isGrey(row * (height - 1), channels, width) || // as it is stored
    isGrey(0, channels, width) || // or turned
    isGrey(0, row, height) ||
    isGrey(row - channels, row, height)
  )
}
