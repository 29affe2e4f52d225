import { createReadStream, read } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { fromRandomAccessReaderPromise, type Options, RandomAccessReader, type ZipFile } from 'yauzl'

/** Pieces in which a large entry is read; yauzl's own reader takes 64 KiB, which costs more than the copying. */
const PIECE_BYTES = 1024 * 1024

/** Opens a zip on disk that is read in large pieces; its `close` closes the file. */
export async function openZip(path: string, options: Options): Promise<ZipFile> {
  const file = await open(path, 'r')
  try {
    const { size } = await file.stat()
    return await fromRandomAccessReaderPromise(new FileReader(path, file), size, { ...options, autoClose: false })
  } catch (error) {
    await file.close()
    throw error
  }
}

class FileReader extends RandomAccessReader {
  readonly #path: string
  readonly #file: FileHandle

  constructor(path: string, file: FileHandle) {
    super()
    this.#path = path
    this.#file = file
  }

  // Opens the file once more: a stream that is destroyed closes what it reads from.
  override _readStreamForRange(start: number, end: number): Readable {
    return createReadStream(this.#path, { start, end: end - 1, highWaterMark: PIECE_BYTES })
  }

  // Headers are a few bytes each: not worth a stream.
  override read(...[buffer, offset, length, position, callback]: Parameters<RandomAccessReader['read']>): void {
    if (length === 0) {
      setImmediate(callback, null)
      return
    }
    read(this.#file.fd, buffer, offset, length, position, (error, bytes) => {
      callback(error ?? (bytes < length ? new Error('unexpected end of the file') : null))
    })
  }

  override close(callback: (error: Error | null) => void): void {
    this.#file.close().then(
      () => callback(null),
      (error: Error) => callback(error),
    )
  }
}
