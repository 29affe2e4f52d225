import { END_OF_BLOCK, type HuffmanTable, huffmanTable } from './huffman-table.js'
import { readBaselineHead, type ScanComponent } from './jpeg-baseline.js'

/** Reading this much takes a few milliseconds of the event loop; the decoder has threads for more. */
const MAX_BYTES = 256 * 1024
/** Behind the data, for the longest MCU that begins within them: ten blocks of 64 codes with up to 31 bits each. */
const PADDING_BYTES = 2560
const [EOI, RST0] = [0xd9, 0xd0]

/**
 * Whether the data of this JPEG hold every block of its picture, read by their Huffman codes without decoding a pixel.
 * True is certain; false only means that the decoder has to be asked, as for all but common baseline files.
 */
export function hasEveryBlock(bytes: Uint8Array): boolean {
  const head = bytes.length > MAX_BYTES ? undefined : readBaselineHead(bytes)
  if (head === undefined) return false
  const intervals = intervalsOf(bytes, head.dataAt)
  if (intervals === undefined) return false
  const blocks = blocksOfMcu(head.components)
  const perInterval = head.restartInterval === 0 ? head.mcus : head.restartInterval
  let left = head.mcus
  let from = 0
  for (const to of intervals.ends) {
    const count = Math.min(left, perInterval)
    if (count === 0 || !isFilledBy(count, blocks, { data: intervals.data, from, to })) return false
    left -= count
    from = to
  }
  return left === 0
}

/** What lies between restart markers, without stuffing, one after the other. */
type Intervals = { readonly data: Uint8Array; readonly ends: readonly number[] }

/** Up to the end marker; undefined if something else ends the data. */
function intervalsOf(bytes: Uint8Array, dataAt: number): Intervals | undefined {
  const data = new Uint8Array(bytes.length - dataAt + PADDING_BYTES)
  const ends: number[] = []
  let to = 0
  for (let at = dataAt; at + 1 < bytes.length; at += 1) {
    const byte = bytes[at] ?? 0
    if (byte === 0xff) {
      at += 1
      const code = bytes[at]
      if (code === EOI) return { data, ends: [...ends, to] }
      if (code === RST0 + (ends.length & 7)) {
        ends.push(to)
        continue
      }
      if (code !== 0) return undefined
    }
    data[to] = byte
    to += 1
  }
  return undefined
}

type Block = { readonly dc: HuffmanTable; readonly ac: HuffmanTable }

function blocksOfMcu(components: readonly ScanComponent[]): readonly Block[] {
  const tables = new Map<Uint8Array, HuffmanTable>()
  const tableOf = (definition: Uint8Array, kind: 'dc' | 'ac') => {
    const table = tables.get(definition) ?? huffmanTable(definition, kind)
    tables.set(definition, table)
    return table
  }
  return components.flatMap(({ blocks, dc, ac }) => {
    return Array<Block>(blocks).fill({ dc: tableOf(dc, 'dc'), ac: tableOf(ac, 'ac') })
  })
}

type Interval = { readonly data: Uint8Array; readonly from: number; readonly to: number }

/** Whether these bytes are so many MCUs, no less and no more. */
function isFilledBy(mcus: number, blocks: readonly Block[], { data, from, to }: Interval): boolean {
  const end = 8 * to
  let at = 8 * from
  for (let mcu = 0; mcu < mcus; mcu++) {
    for (const block of blocks) {
      at = blockEnd(data, at, block)
      if (at === BROKEN) return false
    }
    if (at > end) return false
  }
  return end - at < 8
}

const BROKEN = -1
const COEFFICIENTS = 64

/** The bit behind the block that begins at bit `start`, or BROKEN. */
function blockEnd(data: Uint8Array, start: number, { dc, ac }: Block): number {
  const level = dc.first[bitsAt(data, start)] ?? 0
  if (level === 0) return BROKEN
  let at = start + (level & 31)
  for (let coefficient = 1; coefficient < COEFFICIENTS; ) {
    const bits = bitsAt(data, at)
    let entry = ac.several[bits >>> 4] ?? 0
    let reached = coefficient + (entry >> 5)
    const isCertain = entry !== 0 && (reached < COEFFICIENTS || isEnd(reached))
    if (!isCertain) {
      // The last of several codes may belong to the next block, or lie partly outside of the twelve bits.
      entry = ac.first[bits] ?? 0
      if (entry === 0) return BROKEN
      reached = coefficient + (entry >> 5)
      if (reached > COEFFICIENTS && !isEnd(reached)) return BROKEN
    }
    at += entry & 31
    coefficient = reached
  }
  return at
}

/** Whether the block has ended early, before its last coefficient. */
function isEnd(reached: number): boolean {
  return reached > END_OF_BLOCK && reached < END_OF_BLOCK + COEFFICIENTS
}

/** The next sixteen bits. */
function bitsAt(data: Uint8Array, at: number): number {
  const byte = at >>> 3
  const bits = ((data[byte] ?? 0) << 16) | ((data[byte + 1] ?? 0) << 8) | (data[byte + 2] ?? 0)
  return (bits >>> (8 - (at & 7))) & 0xffff
}
