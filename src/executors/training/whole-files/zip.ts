import { pipeline, Readable, type Transform } from 'node:stream'
import { crc32, createInflateRaw } from 'node:zlib'
import type { FileBytes } from '../../../base/binary/index.js'
import { hasCode } from '../../../base/index.js'

const LOCAL = 0x04034b50
const CENTRAL = 0x02014b50
const END = 0x06054b50
const END_64 = 0x06064b50
const LOCATOR_64 = 0x07064b50
const END_BYTES = 22
const MAX_COMMENT = 65_535
const MAX_DIRECTORY_BYTES = 64 * 1024 * 1024
const HAS_DESCRIPTOR = 8
const STORED = 0
const DEFLATED = 8
const PIECE = 1024 * 1024

type Directory = { readonly offset: number; readonly bytes: number; readonly entries: number; readonly endsAt: number }
type Entry = {
  readonly name: Buffer
  readonly flags: number
  readonly method: number
  readonly crc: number
  readonly packedBytes: number
  readonly offset: number
}

/**
 * What a zip lacks to be whole, or undefined: its central directory is there, and all that it lists lies before it,
 * as a local header that agrees with it. That also finds an archive that is being written over an older one. With
 * `content` the checksums of its entries are compared as well.
 */
export async function zipProblem(
  file: FileBytes,
  options: { readonly content?: boolean } = {},
): Promise<string | undefined> {
  const end = await findEnd(file)
  if (end === undefined) return 'its zip directory is not there yet'
  const directory = await readDirectory(file, end)
  if (directory === undefined || directory.offset + directory.bytes > directory.endsAt)
    return 'its zip directory is cut off'
  if (directory.bytes > MAX_DIRECTORY_BYTES) return `its zip directory has ${directory.bytes} bytes, which is too much`
  const shift = await shiftOf(file, directory)
  if (shift === undefined) return 'its zip directory belongs to another archive'
  const start = directory.offset + shift
  const entries = parseEntries(await file.read(start, directory.bytes))
  if (entries === undefined || entries.length % 65_536 !== directory.entries % 65_536)
    return 'its zip directory is damaged'
  for (const entry of entries) {
    const problem = await entryProblem(file, entry, { start, shift, ...options })
    if (problem !== undefined) return problem
  }
  return undefined
}

/** Where the last end record begins: at the very end, or before bytes that somebody has put behind the archive. */
async function findEnd(file: FileBytes): Promise<{ readonly position: number; readonly record: Buffer } | undefined> {
  const length = Math.min(file.size, END_BYTES + MAX_COMMENT)
  if (length < END_BYTES) return undefined
  const tail = Buffer.from(await file.read(file.size - length, length))
  let last: { position: number; record: Buffer } | undefined
  for (let at = length - END_BYTES; at >= 0; at -= 1) {
    if (tail.readUInt32LE(at) !== END) continue
    const endsAt = at + END_BYTES + tail.readUInt16LE(at + 20)
    const found = { position: file.size - length + at, record: tail.subarray(at, at + END_BYTES) }
    if (endsAt === length) return found // a comment may hold the signature as well
    if (endsAt < length) last ??= found
  }
  return last
}

async function readDirectory(
  file: FileBytes,
  { position, record }: { readonly position: number; readonly record: Buffer },
): Promise<Directory | undefined> {
  const plain = {
    entries: record.readUInt16LE(10),
    bytes: record.readUInt32LE(12),
    offset: record.readUInt32LE(16),
    endsAt: position,
  }
  const needs64 = plain.entries === 0xffff || plain.bytes === 0xffffffff || plain.offset === 0xffffffff
  const locator = position >= 20 ? await file.read(position - 20, 20) : undefined
  if (locator?.readUInt32LE(0) !== LOCATOR_64) return needs64 ? undefined : plain
  const named = Number(locator.readBigUInt64LE(8))
  for (const at of [named, position - 20 - 56]) {
    if (at < 0 || at + 56 > position) continue
    const end = await file.read(at, 56)
    if (end.readUInt32LE(0) !== END_64) continue
    return {
      entries: Number(end.readBigUInt64LE(32)),
      bytes: Number(end.readBigUInt64LE(40)),
      offset: Number(end.readBigUInt64LE(48)),
      endsAt: at,
    }
  }
  return undefined
}

/**
 * How far the archive is moved by something in front of it, such as a start script. A file that begins as a zip has
 * nothing in front: what fits further back is then an archive inside of one that is not finished.
 */
async function shiftOf(file: FileBytes, { offset, bytes, entries, endsAt }: Directory): Promise<number | undefined> {
  if (entries === 0) return endsAt === 0 ? 0 : undefined // or the record itself is half written
  if ((await file.read(offset, 4)).readUInt32LE(0) === CENTRAL) return 0
  const shift = endsAt - bytes - offset
  if (shift <= 0 || (await file.read(0, 4)).readUInt32LE(0) === LOCAL) return undefined
  return (await file.read(offset + shift, 4)).readUInt32LE(0) === CENTRAL ? shift : undefined
}

function parseEntries(directory: Buffer): Entry[] | undefined {
  const entries: Entry[] = []
  for (let at = 0; at < directory.length; ) {
    if (at + 46 > directory.length || directory.readUInt32LE(at) !== CENTRAL) return undefined
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map((each) => directory.readUInt16LE(at + each))
    if (nameLength === undefined || extraLength === undefined || commentLength === undefined) return undefined
    const nameEnd = at + 46 + nameLength
    const next = nameEnd + extraLength + commentLength
    if (next > directory.length) return undefined
    entries.push({
      name: directory.subarray(at + 46, nameEnd),
      flags: directory.readUInt16LE(at + 8),
      method: directory.readUInt16LE(at + 10),
      crc: directory.readUInt32LE(at + 16),
      ...sizesOf(directory.subarray(at, at + 46), directory.subarray(nameEnd, nameEnd + extraLength)),
    })
    at = next
  }
  return entries
}

/** What does not fit into 32 bits stands in the extra field, in this order and only if it does not fit. */
function sizesOf(fixed: Buffer, extra: Buffer): { packedBytes: number; offset: number } {
  let at = extra64(extra)
  const wide = (value: number): number => {
    if (value !== 0xffffffff || at === undefined || at + 8 > extra.length) return value
    at += 8
    return Number(extra.readBigUInt64LE(at - 8))
  }
  wide(fixed.readUInt32LE(24))
  const packedBytes = wide(fixed.readUInt32LE(20))
  return { packedBytes, offset: wide(fixed.readUInt32LE(42)) }
}

function extra64(extra: Buffer): number | undefined {
  for (let at = 0; at + 4 <= extra.length; at += 4 + extra.readUInt16LE(at + 2)) {
    if (extra.readUInt16LE(at) === 1) return at + 4
  }
  return undefined
}

async function entryProblem(
  file: FileBytes,
  entry: Entry,
  { start, shift, content }: { readonly start: number; readonly shift: number; readonly content?: boolean },
): Promise<string | undefined> {
  const at = entry.offset + shift
  if (at + 30 > start) return 'its zip directory points behind its content'
  const local = await file.read(at, 30)
  const nameLength = local.readUInt16LE(26)
  const dataAt = at + 30 + nameLength + local.readUInt16LE(28)
  if (local.readUInt32LE(0) !== LOCAL || dataAt + entry.packedBytes > start)
    return 'its content is cut off or overwritten'
  const checksum = local.readUInt32LE(14)
  const agrees = (local.readUInt16LE(6) & HAS_DESCRIPTOR) !== 0 || checksum === entry.crc
  const name = await file.read(at + 30, nameLength)
  if (!agrees || !name.equals(entry.name)) return 'its content is of another archive than its directory'
  return content === true ? await contentProblem(file, entry, dataAt) : undefined
}

// PyTorch can leave checksums out (set_crc32_options), which then are zero; other tools never write a wrong one.
async function contentProblem(file: FileBytes, entry: Entry, dataAt: number): Promise<string | undefined> {
  if (entry.crc === 0 || (entry.method !== STORED && entry.method !== DEFLATED)) return undefined
  const packed = Readable.from(readPieces(file, dataAt, entry.packedBytes))
  let crc = 0
  try {
    const content = entry.method === STORED ? packed : compose(packed, createInflateRaw())
    for await (const piece of content) crc = crc32(piece, crc)
  } catch (error) {
    if (hasCode(error, 'Z_DATA_ERROR', 'Z_BUF_ERROR')) return `its ${entry.name.toString()} cannot be unpacked`
    throw error
  }
  return crc === entry.crc ? undefined : `the checksum of its ${entry.name.toString()} is wrong`
}

async function* readPieces(file: FileBytes, start: number, bytes: number): AsyncGenerator<Buffer, void, void> {
  for (let done = 0; done < bytes; done += PIECE) yield await file.read(start + done, Math.min(PIECE, bytes - done))
}

function compose(source: Readable, transform: Transform): Transform {
  pipeline(source, transform, () => undefined) // a failure is thrown to the reader of the result
  return transform
}
