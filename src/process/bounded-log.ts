import { constants } from 'node:fs'
import { type FileHandle, mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'

export type BoundedLogOptions = {
  readonly maxBytes: number
  /** Called once when the disk cannot be written (full, broken); lines that cannot be written are dropped and counted. */
  readonly onLoss?: (error: unknown) => void
}

const SMALLEST_BYTES = 4096
const COPY_BYTES = 1024 * 1024
const MARK = /^\n\[loopfleet: {1,20}(\d+) bytes were cut out here\]\n$/

/**
 * A log file that is appended to and never grows beyond `maxBytes`: its first quarter stays, the newest bytes stay,
 * and between them a line says how much was cut out. Calls must not overlap.
 */
export class BoundedLog {
  readonly #file: FileHandle
  readonly #options: BoundedLogOptions
  readonly #keptBytes: number
  readonly #maxBytes: number
  #size: number
  #lostBytes = 0
  #lossTold = false

  private constructor(file: FileHandle, size: number, options: BoundedLogOptions) {
    this.#file = file
    this.#size = size
    this.#options = options
    this.#maxBytes = Math.max(SMALLEST_BYTES, options.maxBytes)
    this.#keptBytes = Math.floor(this.#maxBytes / 4)
  }

  static async open(path: string, options: BoundedLogOptions): Promise<BoundedLog> {
    await mkdir(dirname(path), { recursive: true })
    // Not O_APPEND, with which positions are not obeyed; nobody else writes to it.
    const file = await open(path, constants.O_RDWR | constants.O_CREAT, 0o644)
    try {
      return new BoundedLog(file, (await file.stat()).size, options)
    } catch (error) {
      await file.close()
      throw error
    }
  }

  async write(chunk: Uint8Array): Promise<void> {
    try {
      if (this.#lostBytes > 0) await this.#append(lossMark(this.#lostBytes))
      this.#lostBytes = 0
      for (let start = 0; start < chunk.length; start += this.#keptBytes) {
        await this.#append(chunk.subarray(start, start + this.#keptBytes))
      }
    } catch (error) {
      // The program must not stand still because its log cannot be written.
      this.#lostBytes += chunk.length
      if (!this.#lossTold) this.#options.onLoss?.(error)
      this.#lossTold = true
    }
  }

  async close(): Promise<void> {
    await this.#file.close()
  }

  async #append(piece: Uint8Array): Promise<void> {
    if (this.#size + piece.length > this.#maxBytes) await this.#cutOut()
    await this.#writeAt(piece, this.#size)
    this.#size += piece.length
  }

  /** In place, so that followers of the file keep the same file; the newest bytes move down. */
  async #cutOut(): Promise<void> {
    const head = this.#keptBytes
    const tailStart = Math.max(head, this.#size - this.#keptBytes)
    const earlier = await this.#cutBefore()
    const mark = cutMark(earlier.bytes + tailStart - head - earlier.markLength)
    if (tailStart <= head + mark.length) return
    let target = head + mark.length
    const buffer = Buffer.allocUnsafe(COPY_BYTES)
    for (let source = tailStart; source < this.#size; ) {
      const wanted = Math.min(buffer.length, this.#size - source)
      const { bytesRead } = await this.#file.read(buffer, 0, wanted, source)
      if (bytesRead === 0) break
      await this.#writeAt(buffer.subarray(0, bytesRead), target)
      source += bytesRead
      target += bytesRead
    }
    await this.#writeAt(mark, head)
    await this.#file.truncate(target)
    this.#size = target
  }

  /** What was cut out before, read from the file itself, since earlier programs wrote to it too. */
  async #cutBefore(): Promise<{ readonly bytes: number; readonly markLength: number }> {
    const { length } = cutMark(0)
    const { buffer, bytesRead } = await this.#file.read(Buffer.alloc(length), 0, length, this.#keptBytes)
    const found = MARK.exec(buffer.subarray(0, bytesRead).toString('latin1'))
    return found === null ? { bytes: 0, markLength: 0 } : { bytes: Number(found[1]), markLength: length }
  }

  async #writeAt(data: Uint8Array, position: number): Promise<void> {
    let written = 0
    while (written < data.length) {
      const { bytesWritten } = await this.#file.write(data, written, data.length - written, position + written)
      written += bytesWritten
    }
  }
}

function cutMark(bytes: number): Buffer {
  return Buffer.from(`\n[loopfleet: ${String(bytes).padStart(16)} bytes were cut out here]\n`)
}

function lossMark(bytes: number): Buffer {
  return Buffer.from(`\n[loopfleet: ${bytes} bytes could not be written here]\n`)
}
