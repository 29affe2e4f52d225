/** What a program asks a terminal to do, as far as it changes what stands on the screen. */
export type TerminalSink = {
  text(text: string): void
  lineFeed(): void
  carriageReturn(): void
  backspace(): void
  /** A control sequence `ESC [ parameters final`; those of one letter after ESC that do the same come as one. */
  controlSequence(final: string, parameters: string): void
}

type State = 'text' | 'escape' | 'intermediate' | 'sequence' | 'string'

/** C0, DEL and C1, but for the tabulator, which is text. */
const CONTROL = /[^\P{Cc}\t]/gu
/** Ends a title, a link or a picture. So does a new line: a sequence without an end must not swallow what follows. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const STRING_END = /[\u0007\u0018\u001a\u001b\u009c\n\r]/g
const MAX_PARAMETERS = 256

/**
 * Takes output apart into text and what a terminal is asked to do (ECMA-48, in 7 and 8 bits). Sequences may be split
 * over calls. What only a terminal understands (titles, links, pictures, modes, keyboards) leaves nothing.
 */
export class ControlSequenceReader {
  readonly #sink: TerminalSink
  #state: State = 'text'
  #parameters = ''

  constructor(sink: TerminalSink) {
    this.#sink = sink
  }

  feed(text: string): void {
    for (let at = 0; at < text.length; ) at = this.#state === 'text' ? this.#text(text, at) : this.#inSequence(text, at)
  }

  #text(text: string, start: number): number {
    const end = next(CONTROL, text, start)
    if (end > start) this.#sink.text(text.slice(start, end))
    if (end < text.length) this.#control(text.charCodeAt(end))
    return end + 1
  }

  #inSequence(text: string, at: number): number {
    if (this.#state === 'string') return this.#string(text, at)
    const code = text.charCodeAt(at)
    if (code < 0x20 || (code >= 0x7f && code <= 0x9f)) {
      this.#state = 'text'
      this.#control(code)
    } else if (this.#state === 'sequence') {
      this.#sequence(code)
    } else if (code >= 0x20 && code <= 0x2f) {
      this.#state = 'intermediate'
    } else {
      const isWhole = this.#state === 'intermediate'
      this.#state = 'text'
      if (!isWhole) this.#escape(code)
    }
    return at + 1
  }

  #control(code: number): void {
    switch (code) {
      case 0x08:
        this.#sink.backspace()
        return
      case 0x0a:
      case 0x0b: // vertical tabulator
      case 0x0c: // form feed
      case 0x84: // IND
      case 0x85: // NEL
        this.#sink.lineFeed()
        return
      case 0x0d:
        this.#sink.carriageReturn()
        return
      case 0x1b:
        this.#state = 'escape'
        return
      case 0x8d:
        this.#sink.controlSequence('A', '')
        return
      case 0x9b:
        this.#begin('sequence')
        return
      case 0x90: // DCS, SOS, OSC, PM, APC
      case 0x98:
      case 0x9d:
      case 0x9e:
      case 0x9f:
        this.#begin('string')
        return
    }
  }

  /** The character after ESC. */
  #escape(code: number): void {
    if (code > 0x7e) this.#sink.text(String.fromCharCode(code))
    switch (String.fromCharCode(code)) {
      case '[':
        this.#begin('sequence')
        return
      case ']':
      case 'P':
      case 'X':
      case '^':
      case '_':
      case 'k': // a title, for screen and tmux
        this.#begin('string')
        return
      case 'D':
      case 'E':
        this.#sink.lineFeed()
        return
      case 'M':
        this.#sink.controlSequence('A', '')
        return
      case 'c': // reset
        this.#sink.controlSequence('J', '2')
        return
    }
  }

  #begin(state: State): void {
    this.#state = state
    this.#parameters = ''
  }

  #sequence(code: number): void {
    if (code >= 0x40 && code <= 0x7e) {
      this.#state = 'text'
      if (this.#parameters.length > MAX_PARAMETERS) return
      this.#sink.controlSequence(String.fromCharCode(code), this.#parameters)
    } else if (code > 0x7e) {
      this.#state = 'text'
      this.#sink.text(String.fromCharCode(code))
    } else if (this.#parameters.length <= MAX_PARAMETERS) {
      this.#parameters += String.fromCharCode(code)
    }
  }

  #string(text: string, start: number): number {
    const end = next(STRING_END, text, start)
    if (end === text.length) return end
    this.#state = 'text'
    const code = text.charCodeAt(end)
    const isNext = code === 0x0a || code === 0x0d || code === 0x1b // of ESC \ the backslash is passed over, too
    return isNext ? end : end + 1
  }
}

function next(pattern: RegExp, text: string, start: number): number {
  pattern.lastIndex = start
  return pattern.exec(text)?.index ?? text.length
}
