import { StringDecoder } from 'node:string_decoder'

const MAX_LINE_LENGTH = 4096
const KEPT_LINES = 50
const KEPT_LENGTH = 1000

/**
 * Cuts a program's output into lines (also at carriage returns, which progress bars use) and remembers the last ones.
 * Memory is bounded: a line without end is handed on in pieces.
 */
export class OutputLines {
  readonly #decoder = new StringDecoder('utf8')
  readonly #onLine: ((line: string) => void) | undefined
  #last: string[] = []
  #held = ''

  constructor(onLine?: (line: string) => void) {
    this.#onLine = onLine
  }

  feed(chunk: Buffer): void {
    this.#cut(this.#decoder.write(chunk))
  }

  /** The output has ended: what is held is a line, too. */
  finish(): void {
    this.#cut(`${this.#decoder.end()}\n`)
  }

  /** At most 50 lines, each at most 1,000 characters, the newest last. */
  last(): string[] {
    const lines = this.#held.trim() === '' ? this.#last : [...this.#last, this.#held]
    return lines.slice(-KEPT_LINES).map((line) => line.slice(-KEPT_LENGTH))
  }

  #cut(text: string): void {
    const pieces = (this.#held + text).split(/[\r\n]+/)
    const rest = inPieces(pieces.pop() ?? '')
    this.#held = rest.pop() ?? ''
    const lines = [...pieces.flatMap(inPieces), ...rest].filter((line) => line !== '')
    this.#last = [...this.#last, ...lines.slice(-KEPT_LINES)].slice(-KEPT_LINES)
    if (this.#onLine !== undefined) for (const line of lines) this.#onLine(line)
  }
}

function inPieces(line: string): string[] {
  if (line.length <= MAX_LINE_LENGTH) return [line]
  const pieces: string[] = []
  for (let start = 0; start < line.length; start += MAX_LINE_LENGTH) {
    pieces.push(line.slice(start, start + MAX_LINE_LENGTH))
  }
  return pieces
}
