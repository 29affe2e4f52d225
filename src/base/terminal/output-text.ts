import { StringDecoder } from 'node:string_decoder'
import { ControlSequenceReader, type TerminalSink } from './control-sequences.js'
import { cutBehindBar } from './cut-behind-bar.js'
import { Row } from './row.js'
import { MAX_ROW, Screen } from './screen.js'

export type OutputTextSinks = {
  /** For people: lines as a terminal shows them in the end, with SGR colours and no other control sequence. */
  readonly onLine: (line: string) => void
  /** For patterns: every line, also those that are written over later, without any control sequence. */
  readonly onPiece?: OnPiece
}

/** With the time at which its first bytes were read, as `feed` was given it. */
type OnPiece = (piece: string, readAtMs: number) => void

/** Turns the bytes that a program prints into text. Memory is bounded: a line without end comes in pieces. */
export class OutputText {
  readonly #decoder = new StringDecoder('utf8')
  readonly #screen: Screen
  readonly #pieces: Pieces
  readonly #reader: ControlSequenceReader

  constructor({ onLine, onPiece }: OutputTextSinks) {
    this.#screen = new Screen(eachPart(onLine))
    this.#pieces = new Pieces(onPiece && eachPart(onPiece))
    this.#reader = new ControlSequenceReader(both(this.#screen, this.#pieces))
  }

  /** Something was printed that `onLine` has not had, such as a progress bar that still grows. */
  get isUnfinished(): boolean {
    return this.#screen.isUnfinished
  }

  feed(chunk: Uint8Array, readAtMs = 0): void {
    this.#pieces.nowMs = readAtMs
    this.#reader.feed(this.#decoder.write(chunk as Buffer))
  }

  /** Gives lines to `onLine` that are not finished yet, as they stand. */
  showUnfinished(): void {
    this.#screen.takeChanges()
  }

  /** The output has ended. */
  finish(): void {
    this.#reader.feed(this.#decoder.end())
    this.#pieces.end()
    this.#screen.takeChanges()
  }
}

function eachPart<More extends unknown[]>(take: (line: string, ...more: More) => void) {
  return (line: string, ...more: More): void => {
    for (const part of cutBehindBar(line)) take(part, ...more)
  }
}

/** Whatever is written between two moves of the cursor to the beginning of a line or to another one. */
class Pieces implements TerminalSink {
  nowMs = 0
  readonly #onPiece: OnPiece | undefined
  #row = new Row()
  #beganAtMs: number | undefined

  constructor(onPiece: OnPiece | undefined) {
    this.#onPiece = onPiece
  }

  text(text: string): void {
    if (this.#onPiece === undefined) return
    this.#beganAtMs ??= this.nowMs
    for (let start = 0; start < text.length; ) {
      if (this.#row.column >= MAX_ROW) {
        this.end()
        this.#beganAtMs = this.nowMs
      }
      const room = MAX_ROW - this.#row.column
      this.#row.write(text.slice(start, start + room))
      start += room
    }
  }

  lineFeed(): void {
    this.end()
  }

  carriageReturn(): void {
    this.end()
  }

  backspace(): void {
    this.#row.column = Math.max(0, this.#row.column - 1)
  }

  controlSequence(final: string, parameters: string): void {
    if (final === 'm' || !/^[\d;]*$/.test(parameters)) return
    const count = Math.min(MAX_ROW, Math.max(1, Number.parseInt(parameters, 10) || 1))
    const { column } = this.#row
    switch (final) {
      case 'K':
        this.#row.erase(parameters)
        return
      case 'C':
        this.#row.column = Math.min(MAX_ROW - 1, column + count)
        return
      case 'D':
        this.#row.column = Math.max(0, column - count)
        return
      case 'A':
      case 'B':
      case 'E':
      case 'F':
      case 'G':
      case 'H':
      case 'f':
      case 'J':
        this.end()
        return
    }
  }

  end(): void {
    const { text } = this.#row
    const beganAtMs = this.#beganAtMs ?? this.nowMs
    this.#row = new Row()
    this.#beganAtMs = undefined
    if (text !== '') this.#onPiece?.(text, beganAtMs)
  }
}

function both(one: TerminalSink, other: TerminalSink): TerminalSink {
  return {
    text(text) {
      one.text(text)
      other.text(text)
    },
    lineFeed() {
      one.lineFeed()
      other.lineFeed()
    },
    carriageReturn() {
      one.carriageReturn()
      other.carriageReturn()
    },
    backspace() {
      one.backspace()
      other.backspace()
    },
    controlSequence(final, parameters) {
      one.controlSequence(final, parameters)
      other.controlSequence(final, parameters)
    },
  }
}
