import { OutputText, plainText } from '../base/terminal/index.js'

const KEPT_LINES = 50
const KEPT_LENGTH = 1000

/** The last lines of a program's output as people read them: without colours, and progress bars as they stand. */
export class LastLines {
  #last: string[] = []

  /** Takes lines that may have colours. */
  add(lines: readonly string[]): void {
    const plain = lines.slice(-KEPT_LINES).map((line) => plainText(line).slice(-KEPT_LENGTH))
    this.#last = [...this.#last, ...plain.filter((line) => line !== '')].slice(-KEPT_LINES)
  }

  /** At most 50 lines, each at most 1,000 characters, the newest last. */
  get(): string[] {
    return this.#last
  }
}

/**
 * Cuts a program's output into lines (also at carriage returns, which progress bars use) and remembers the last ones.
 * Memory is bounded: a line without end is handed on in pieces.
 */
export class OutputLines {
  readonly #text: OutputText
  readonly #last = new LastLines()
  #lines: string[] = []

  /** `onLine` gets each line without control sequences. */
  constructor(onLine?: (line: string) => void) {
    this.#text = new OutputText({ onLine: (line) => this.#lines.push(line), onPiece: onLine })
  }

  feed(chunk: Buffer): void {
    this.#text.feed(chunk)
    this.#keep()
  }

  /** The output has ended: what is held is a line, too. */
  finish(): void {
    this.#text.finish()
    this.#keep()
  }

  /** At most 50 lines, each at most 1,000 characters, the newest last. */
  last(): string[] {
    this.#text.showUnfinished()
    this.#keep()
    return this.#last.get()
  }

  #keep(): void {
    this.#last.add(this.#lines)
    this.#lines = []
  }
}
