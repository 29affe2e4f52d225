/** A component of a scan: how many of its blocks are in an MCU, and its Huffman tables as the file defines them. */
export type ScanComponent = { readonly blocks: number; readonly dc: Uint8Array; readonly ac: Uint8Array }

/** What is needed to follow the data of a JPEG whose one scan has all of its components. */
export type BaselineHead = {
  readonly mcus: number
  /** MCUs between two restart markers, 0 for no markers. */
  readonly restartInterval: number
  readonly components: readonly ScanComponent[]
  /** Where the data begin. */
  readonly dataAt: number
}

type FrameComponent = {
  readonly id: number
  readonly across: number
  readonly down: number
  readonly quantization: number
}
type Frame = { readonly width: number; readonly height: number; readonly components: readonly FrameComponent[] }

const [SOF0, SOF1, DHT, SOS, DQT, DRI, COM] = [0xc0, 0xc1, 0xc4, 0xda, 0xdb, 0xdd, 0xfe]

/** In the name of a Huffman table; without it the table is for DC. */
const AC = 0x10
/** In an MCU. */
const MAX_BLOCKS = 10

/** Undefined for whatever is not quite common, libjpeg's exceptions and repairs included. */
export function readBaselineHead(bytes: Uint8Array): BaselineHead | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const tables = new Map<number, Uint8Array>()
  const quantizations = new Set<number>()
  let frame: Frame | undefined
  let restartInterval = 0
  for (let at = 2; at + 4 <= bytes.length; ) {
    if (bytes[at] !== 0xff) return undefined
    const end = at + 2 + view.getUint16(at + 2)
    if (end < at + 4 || end > bytes.length) return undefined
    const code = bytes[at + 1] ?? 0
    const segment = bytes.subarray(at + 4, end)
    at = end
    if (code === SOS) {
      const components = frame && scanOf(segment, frame, { tables, quantizations })
      return frame && components && { mcus: mcusOf(frame), restartInterval, components, dataAt: end }
    }
    if (code === DHT) {
      if (!addTables(segment, tables)) return undefined
    } else if (code === DQT) {
      if (!addQuantizations(segment, quantizations)) return undefined
    } else if (code === DRI) {
      if (segment.length !== 2) return undefined
      restartInterval = uint16(segment, 0)
    } else if (code === SOF0 || code === SOF1) {
      if (frame !== undefined) return undefined
      frame = frameOf(segment)
      if (frame === undefined) return undefined
    } else if ((code & 0xf0) !== 0xe0 && code !== COM) {
      return undefined
    }
  }
  return undefined
}

/** False if a table is cut off or has more codes of a length than there are. */
function addTables(segment: Uint8Array, tables: Map<number, Uint8Array>): boolean {
  for (let at = 0; at < segment.length; ) {
    const name = segment[at] ?? 0
    const counts = segment.subarray(at + 1, at + 17)
    if (counts.length < 16 || (name & 0xee) !== 0) return false
    const symbols = counts.reduce((sum, count) => sum + count, 0)
    const codes = counts.reduce((sum, count, index) => sum + count * (0x8000 >> index), 0)
    const end = at + 17 + symbols
    // The code of only ones is not used.
    if (symbols > 256 || codes >= 0x10000 || end > segment.length) return false
    if (name < AC && segment.subarray(at + 17, end).some((valueBits) => valueBits > 15)) return false
    tables.set(name, segment.subarray(at + 1, end))
    at = end
  }
  return true
}

function addQuantizations(segment: Uint8Array, quantizations: Set<number>): boolean {
  for (let at = 0; at < segment.length; at += 65) {
    const name = segment[at] ?? 0
    if (name > 3 || at + 65 > segment.length) return false
    quantizations.add(name)
  }
  return true
}

function frameOf(segment: Uint8Array): Frame | undefined {
  const [precision, count = 0] = [segment[0], segment[5]]
  if (precision !== 8 || ![1, 3, 4].includes(count) || segment.length !== 6 + 3 * count) return undefined
  const components = Array.from({ length: count }, (_, index): FrameComponent => {
    const [id = 0, factors = 0, quantization = 0] = segment.subarray(6 + 3 * index)
    return { id, across: factors >> 4, down: factors & 15, quantization }
  })
  const first = components[0]
  const isCommon = components.every(
    ({ across, down }) =>
      (across === 1 || across === 2) &&
      (down === 1 || down === 2) &&
      across <= (first?.across ?? 0) &&
      down <= (first?.down ?? 0),
  )
  const blocks = components.reduce((sum, { across, down }) => sum + across * down, 0)
  const ids = new Set(components.map(({ id }) => id))
  if (!isCommon || ids.size < count || (count > 1 && blocks > MAX_BLOCKS)) return undefined
  return { height: uint16(segment, 1), width: uint16(segment, 3), components }
}

type Tables = { readonly tables: ReadonlyMap<number, Uint8Array>; readonly quantizations: ReadonlySet<number> }

function scanOf(segment: Uint8Array, { components }: Frame, named: Tables): readonly ScanComponent[] | undefined {
  const count = components.length
  if (segment[0] !== count || segment.length !== 4 + 2 * count) return undefined
  if (segment[1 + 2 * count] !== 0 || segment[2 + 2 * count] !== 63 || segment[3 + 2 * count] !== 0) return undefined
  const scan: ScanComponent[] = []
  for (const [index, { id, across, down, quantization }] of components.entries()) {
    const [scanned, names = 0] = segment.subarray(1 + 2 * index)
    const dc = named.tables.get(names >> 4)
    const ac = named.tables.get(AC | (names & 15))
    if (scanned !== id || dc === undefined || ac === undefined) return undefined
    if (!named.quantizations.has(quantization)) return undefined
    scan.push({ blocks: count === 1 ? 1 : across * down, dc, ac })
  }
  return scan
}

function mcusOf({ width, height, components }: Frame): number {
  const [first] = components
  const isOne = components.length === 1
  const [across, down] = isOne ? [8, 8] : [8 * (first?.across ?? 1), 8 * (first?.down ?? 1)]
  return Math.ceil(width / across) * Math.ceil(height / down)
}

function uint16(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) * 256 + (bytes[at + 1] ?? 0)
}
