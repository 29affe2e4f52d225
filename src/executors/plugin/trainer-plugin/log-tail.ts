import { open, stat } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { OutputText } from '../../../base/terminal/index.js'

const MOST_BYTES = 64 * 1024
const RESTS_AFTER_MS = 200
const REST_WITHIN_MS = 2000

/** The end of a growing log, from where it was when this was made. */
export class LogTail {
  readonly #path: string
  readonly #from: number

  private constructor(path: string, from: number) {
    this.#path = path
    this.#from = from
  }

  static async open(path: string): Promise<LogTail> {
    return new LogTail(path, await sizeOf(path))
  }

  /** At most 64 KB, without control sequences; empty when there is nothing new. */
  async read(): Promise<string> {
    const size = await sizeOf(this.#path)
    const start = Math.max(size - MOST_BYTES, size < this.#from ? 0 : this.#from) // it may have been cut
    if (size <= start) return ''
    const file = await open(this.#path, 'r')
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(size - start), 0, size - start, start)
      return toLines(buffer.subarray(0, bytesRead))
    } finally {
      await file.close()
    }
  }

  /** Waits until the worker has written down what a program said last. */
  async rest(): Promise<void> {
    let size = await sizeOf(this.#path)
    for (let waited = 0; waited < REST_WITHIN_MS; waited += RESTS_AFTER_MS) {
      await sleep(RESTS_AFTER_MS)
      const now = await sizeOf(this.#path)
      if (now === size) return
      size = now
    }
  }
}

/** Every line, also those that were written over. */
function toLines(bytes: Uint8Array): string {
  const pieces: string[] = []
  const text = new OutputText({ onLine: () => undefined, onPiece: (piece) => pieces.push(piece) })
  text.feed(bytes)
  text.finish()
  return pieces.map((piece) => `${piece}\n`).join('')
}

async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0, // nothing was written yet
  )
}
