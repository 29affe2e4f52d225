import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { hasCode } from './files.js'

/** One line of a growing file. `endOffset` is where reading may go on later: the first byte after the line. */
export type FileLine = {
  /** Without its line end; of a line that is too long only the beginning. */
  readonly line: string
  readonly endOffset: number
  readonly tooLong?: true
}

export type ReadLinesOptions = {
  /** The byte to begin at, usually an `endOffset` from before. */
  readonly from?: number
  /** A longer line is reported as `tooLong` and not kept in memory. */
  readonly maxLineBytes?: number
}

export type TailLinesOptions = ReadLinesOptions & {
  readonly signal: AbortSignal
  readonly everyMs?: number
}

const CHUNK_BYTES = 64 * 1024
const SHOWN_BYTES = 200
const NEWLINE = 0x0a

/**
 * Follows a file that another program appends to, and which need not exist yet. Half lines wait until they are whole;
 * a file that was replaced or cut is read from its beginning. Ends quietly when the signal is aborted.
 */
export async function* tailJsonLines(path: string, options: TailLinesOptions): AsyncGenerator<FileLine, void, void> {
  const { signal, everyMs = 100 } = options
  const cutter = new LineCutter(options)
  let seenInode: bigint | undefined
  while (!signal.aborted) {
    const file = await openIfThere(path)
    if (file !== undefined) {
      try {
        const { ino, size } = await file.stat({ bigint: true })
        if ((seenInode !== undefined && ino !== seenInode) || size < BigInt(cutter.position)) cutter.startAgain()
        seenInode = ino
        for await (const line of linesOf(file, cutter)) {
          yield line
          if (signal.aborted) return
        }
      } finally {
        await file.close()
      }
    }
    await sleep(everyMs, undefined, { signal }).catch(() => undefined) // an abort ends the loop above
  }
}

/**
 * The lines that are there now, also a last one without a line end: for reading the rest once the writer has ended.
 * Nothing when the file is missing.
 */
export async function* readJsonLines(
  path: string,
  options: ReadLinesOptions = {},
): AsyncGenerator<FileLine, void, void> {
  const file = await openIfThere(path)
  if (file === undefined) return
  try {
    const cutter = new LineCutter(options)
    yield* linesOf(file, cutter)
    yield* cutter.rest()
  } finally {
    await file.close()
  }
}

/** Missing, or not a plain file (a named pipe would block the reader indefinitely): nothing to read. */
async function openIfThere(path: string): Promise<FileHandle | undefined> {
  let file: FileHandle
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
  try {
    if ((await file.stat()).isFile()) return file
  } catch (error) {
    await file.close()
    throw error
  }
  await file.close()
  return undefined
}

async function* linesOf(file: FileHandle, cutter: LineCutter): AsyncGenerator<FileLine, void, void> {
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES)
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, cutter.position)
    if (bytesRead === 0) return
    yield* cutter.cut(buffer.subarray(0, bytesRead))
  }
}

/** Cuts a stream of chunks into lines, holding at most one line of allowed length. */
class LineCutter {
  /** The offset of the next byte to read. */
  position: number
  readonly #maxLineBytes: number
  #held: Buffer[] = []
  #heldBytes = 0
  #skipping = false

  constructor(options: ReadLinesOptions) {
    this.position = options.from ?? 0
    this.#maxLineBytes = options.maxLineBytes ?? 1024 * 1024
  }

  startAgain(): void {
    this.position = 0
    this.#forget()
  }

  *cut(chunk: Buffer): Generator<FileLine, void, void> {
    let start = 0
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      this.position += end + 1 - start
      this.#hold(chunk.subarray(start, end))
      start = end + 1
      yield* this.rest()
    }
    this.position += chunk.length - start
    this.#hold(chunk.subarray(start))
  }

  /** What is held as a line; blank lines are left out. */
  *rest(): Generator<FileLine, void, void> {
    const tooLong = this.#skipping
    const line = Buffer.concat(this.#held).toString('utf8').replace(/\r$/, '')
    this.#forget()
    if (tooLong) yield { line, endOffset: this.position, tooLong: true }
    else if (line.trim() !== '') yield { line, endOffset: this.position }
  }

  #hold(part: Buffer): void {
    if (this.#skipping || part.length === 0) return
    if (this.#heldBytes + part.length > this.#maxLineBytes) {
      const start = Buffer.concat([...this.#held, part.subarray(0, SHOWN_BYTES)]).subarray(0, SHOWN_BYTES)
      this.#held = [Buffer.from(start)]
      this.#skipping = true
      return
    }
    this.#held.push(Buffer.from(part)) // a copy: the chunk's memory is read into again
    this.#heldBytes += part.length
  }

  #forget(): void {
    this.#held = []
    this.#heldBytes = 0
    this.#skipping = false
  }
}
