import type { FileBytes } from '../../../base/binary/index.js'

export const HDF5_SIGNATURE = Buffer.from('\x89HDF\r\n\x1a\n', 'latin1')
const OPEN_FOR_WRITING = 1

/** What an HDF5 file lacks to be whole, or undefined: its first block says where it ends and who has it open. */
export async function hdf5Problem(file: FileBytes): Promise<string | undefined> {
  if (file.size < 96) return 'its first block is cut off'
  const block = await file.read(0, 96)
  const version = block.readUInt8(8)
  if (version > 3) return undefined // newer than what is known here
  const isOld = version < 2
  const width = block.readUInt8(isOld ? 13 : 9)
  if (width !== 8 && width !== 4) return undefined
  const addressesAt = isOld ? (version === 0 ? 24 : 28) : 12
  const address = (index: number) =>
    width === 8 ? Number(block.readBigUInt64LE(addressesAt + index * 8)) : block.readUInt32LE(addressesAt + index * 4)
  if (version === 3 && (block.readUInt8(11) & OPEN_FOR_WRITING) !== 0)
    return 'its program still has it open for writing'
  const bytes = address(0) + address(2)
  return bytes <= file.size ? undefined : `it has ${file.size} bytes, its first block says ${bytes}`
}
