import { open, stat } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

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

  /** At most 64 KB; empty when there is nothing new. */
  async read(): Promise<string> {
    const size = await sizeOf(this.#path)
    const start = Math.max(size - MOST_BYTES, size < this.#from ? 0 : this.#from) // it may have been cut
    if (size <= start) return ''
    const file = await open(this.#path, 'r')
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(size - start), 0, size - start, start)
      return buffer.subarray(0, bytesRead).toString('utf8')
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

async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0, // nothing was written yet
  )
}
