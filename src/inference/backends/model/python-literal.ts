/** What a Python literal may hold; a dict is a Map, since its keys may be numbers. */
export type PythonValue =
  | string
  | number
  | boolean
  | null
  | readonly PythonValue[]
  | ReadonlyMap<string | number, PythonValue>

const MAX_DEPTH = 20

/**
 * Reads what `str()` of a Python value gives for texts, numbers, booleans, None, dicts, lists and tuples of them, which
 * is how exporters write metadata. Undefined for anything else.
 */
export function parsePythonLiteral(text: string): PythonValue | undefined {
  const reader = new Reader(text)
  try {
    const value = reader.value(MAX_DEPTH)
    reader.end()
    return value
  } catch (error) {
    if (error instanceof NoLiteralError) return undefined
    throw error
  }
}

class NoLiteralError extends Error {}

const NUMBER = /[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?/y
const WORD = /True|False|None/y
const BLANKS = /\s*/y
const ESCAPE = /\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([\s\S]))/y
const PLAIN: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', '\\': '\\', "'": "'", '"': '"' }
const WORDS: Readonly<Record<string, boolean | null>> = { True: true, False: false, None: null }
const MAX_CODE_POINT = 0x10_ff_ff

class Reader {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  value(levels: number): PythonValue {
    if (levels === 0) throw new NoLiteralError()
    this.#match(BLANKS)
    const next = this.#text[this.#at]
    if (next === '{') return this.#dict(levels)
    if (next === '[') return this.#list(']', levels)
    if (next === '(') return this.#list(')', levels)
    if (next === "'" || next === '"') return this.#string(next)
    const word = this.#match(WORD)?.[0]
    if (word !== undefined) return WORDS[word] ?? null
    const number = this.#match(NUMBER)
    if (number === undefined) throw new NoLiteralError()
    return Number(number[0])
  }

  end(): void {
    this.#match(BLANKS)
    if (this.#at < this.#text.length) throw new NoLiteralError()
  }

  #dict(levels: number): ReadonlyMap<string | number, PythonValue> {
    const entries = new Map<string | number, PythonValue>()
    this.#at += 1
    while (!this.#takes('}')) {
      const key = this.value(levels - 1)
      if (typeof key !== 'string' && typeof key !== 'number') throw new NoLiteralError()
      this.#must(':')
      entries.set(key, this.value(levels - 1))
      if (!this.#takes(',')) {
        this.#must('}')
        break
      }
    }
    return entries
  }

  #list(end: ']' | ')', levels: number): PythonValue[] {
    const values: PythonValue[] = []
    this.#at += 1
    while (!this.#takes(end)) {
      values.push(this.value(levels - 1))
      if (!this.#takes(',')) {
        this.#must(end)
        break
      }
    }
    return values
  }

  #string(quote: string): string {
    let text = ''
    this.#at += 1
    for (;;) {
      const next = this.#text[this.#at]
      if (next === undefined || next === '\n') throw new NoLiteralError()
      if (next === '\\') {
        text += this.#escape()
        continue
      }
      this.#at += 1
      if (next === quote) return text
      text += next
    }
  }

  #escape(): string {
    const [, two, four, eight, one] = this.#match(ESCAPE) ?? []
    const hexadecimal = two ?? four ?? eight
    const code = hexadecimal === undefined ? undefined : Number.parseInt(hexadecimal, 16)
    const character = code === undefined ? PLAIN[one ?? ''] : code <= MAX_CODE_POINT && String.fromCodePoint(code)
    if (typeof character !== 'string') throw new NoLiteralError()
    return character
  }

  #must(sign: string): void {
    if (!this.#takes(sign)) throw new NoLiteralError()
  }

  #takes(sign: string): boolean {
    this.#match(BLANKS)
    if (this.#text[this.#at] !== sign) return false
    this.#at += 1
    return true
  }

  #match(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at
    const match = pattern.exec(this.#text)
    if (match === null) return undefined
    this.#at = pattern.lastIndex
    return match
  }
}
