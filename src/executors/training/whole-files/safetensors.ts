import { z } from 'zod'
import type { FileBytes } from '../../../base/binary/index.js'

/** The format's own limit. */
const MAX_HEADER_BYTES = 100_000_000

const headerSchema = z.record(
  z.string(),
  z.union([z.object({ data_offsets: z.tuple([z.int().min(0), z.int().min(0)]) }), z.record(z.string(), z.string())]),
)

/** What a safetensors file lacks to be whole, or undefined: its header says how many bytes follow. */
export async function safetensorsProblem(file: FileBytes): Promise<string | undefined> {
  if (file.size < 8) return 'its header is not there yet'
  const headerBytes = Number((await file.read(0, 8)).readBigUInt64LE(0))
  if (headerBytes < 2 || headerBytes > MAX_HEADER_BYTES || 8 + headerBytes > file.size) return 'its header is cut off'
  const header = parseHeader(await file.read(8, headerBytes))
  if (header === undefined) return 'its header cannot be read'
  const ends = Object.values(header).map((tensor) => (Array.isArray(tensor.data_offsets) ? tensor.data_offsets[1] : 0))
  const bytes = 8 + headerBytes + ends.reduce((most, end) => Math.max(most, end), 0)
  return file.size === bytes ? undefined : `it has ${file.size} bytes, its header says ${bytes}`
}

function parseHeader(header: Buffer) {
  try {
    return headerSchema.parse(JSON.parse(header.toString('utf8')))
  } catch {
    return undefined // half written
  }
}
