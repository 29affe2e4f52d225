import type { FileHandle } from 'node:fs/promises'

/** A file that is read here and there without being held in memory. */
export type FileBytes = {
  readonly size: number
  /** These bytes; throws TruncatedError when the file ends before. */
  read(offset: number, length: number): Promise<Buffer>
}

/** The file ends where its own content says that it goes on. */
export class TruncatedError extends Error {}

const WINDOW = 64 * 1024
/** What a jump reads, since the next one may lead far away again. */
const JUMP = 512

/** Reads through one window, since what is examined lies mostly close together. */
export function createFileBytes(handle: FileHandle, size: number): FileBytes {
  let start = 0
  let window: Buffer = Buffer.alloc(0)

  async function load(offset: number, length: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafe(length)
    let filled = 0
    while (filled < length) {
      const { bytesRead } = await handle.read(buffer, filled, length - filled, offset + filled)
      if (bytesRead === 0) break
      filled += bytesRead
    }
    return buffer.subarray(0, filled)
  }

  return {
    size,
    async read(offset, length) {
      if (offset < 0 || offset + length > size) throw new TruncatedError('it ends too early')
      if (offset < start || offset + length > start + window.length) {
        const isNear = offset >= start && offset <= start + window.length
        const loaded = await load(offset, Math.max(length, Math.min(isNear ? WINDOW : JUMP, size - offset)))
        if (loaded.length < length) throw new TruncatedError('it ends too early')
        if (length > WINDOW) return loaded
        start = offset
        window = loaded
      }
      return window.subarray(offset - start, offset - start + length)
    },
  }
}
