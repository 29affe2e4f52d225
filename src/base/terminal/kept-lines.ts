import { plainText } from './plain-text.js'

/** When lines come faster than they go, the first ones stay and the newest ones: the cause of an end is in these. */
const HEAD_BYTES = 4 * 1024
const MARKER_BYTES = 512
const MAX_LINE_BYTES = 4000

export type TakenLines = {
  readonly head: readonly string[]
  /** Lines that were left out between them. */
  readonly lost: number
  readonly tail: readonly string[]
}

/** Holds at most so many bytes of lines, with room for a line that says how many were left out. */
export class KeptLines {
  readonly #tailBytes: number
  #head: string[] = []
  #tail: string[] = []
  #headSize = 0
  #tailSize = 0
  #lost = 0

  constructor(maxBytes: number) {
    this.#tailBytes = maxBytes - HEAD_BYTES - MARKER_BYTES
  }

  /** Lines, with those left out. */
  get count(): number {
    return this.#head.length + this.#tail.length + this.#lost
  }

  add(line: string): void {
    const short = shorten(line)
    const bytes = bytesOf(short)
    if (this.#tail.length === 0 && this.#lost === 0 && this.#headSize + bytes <= HEAD_BYTES) {
      this.#head.push(short)
      this.#headSize += bytes
      return
    }
    this.#tail.push(short)
    this.#tailSize += bytes
    while (this.#tailSize > this.#tailBytes) {
      this.#tailSize -= bytesOf(this.#tail.shift() ?? '')
      this.#lost += 1
    }
  }

  /** So many lines are missing here. Of two gaps in one write the lines between them are left out, too. */
  lose(count: number): void {
    if (count === 0) return
    this.#lost += count + this.#tail.length
    this.#tail = []
    this.#tailSize = 0
  }

  take(): TakenLines {
    const taken = { head: this.#head, lost: this.#lost, tail: this.#tail }
    this.#head = []
    this.#tail = []
    this.#headSize = 0
    this.#tailSize = 0
    this.#lost = 0
    return taken
  }
}

function bytesOf(line: string): number {
  return Buffer.byteLength(line) + 1
}

function shorten(line: string): string {
  if (bytesOf(line) <= MAX_LINE_BYTES) return line
  const plain = plainText(line) // colours may take more than the text
  if (bytesOf(plain) <= MAX_LINE_BYTES) return plain
  const cut = Buffer.from(plain).subarray(0, MAX_LINE_BYTES - 10)
  return `${cut.toString().replace(/\ufffd+$/, '')} …`
}
