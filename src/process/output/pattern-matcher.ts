import { performance } from 'node:perf_hooks'
import { createContext, Script } from 'node:vm'
import type { OutputPattern, PatternMatch, PatternMiss } from './messages.js'

/** A line that takes longer with a pattern is repeated alone. */
const LINE_MS = 100
const ALONE_MS = 1000
const SHOWN_LINE = 120

type Tried = OutputPattern & { readonly expression: RegExp; isOff: boolean; isSlow: boolean }

/**
 * Tries patterns on lines, in order and on every one of them. An expression can need years for a line; V8 interrupts it
 * only from outside, which `vm` does. A pattern that needs more than a second for one line is given up.
 */
export class PatternMatcher {
  readonly #patterns: readonly Tried[]
  #waiting: { readonly text: string; readonly readAtMs: number }[] = []
  #count = 0
  #skipped = 0
  /** The line and the pattern that are tried now; an interruption leaves them as they are. */
  #line = 0
  #pattern = 0
  /** Groups of which a pattern has matched this line. */
  readonly #groups = new Set<string>()
  /** Patterns whose first match was reported. */
  readonly #once = new Set<string>()
  #matches: PatternMatch[] = []
  #misses: PatternMiss[] = []

  constructor(patterns: readonly OutputPattern[]) {
    this.#patterns = patterns.map((pattern) => {
      const expression = new RegExp(pattern.source, `${pattern.flags ?? ''}g`)
      return { ...pattern, expression, isOff: false, isSlow: false }
    })
  }

  add(text: string, readAtMs = 0): void {
    this.#waiting.push({ text, readAtMs })
  }

  get hasMore(): boolean {
    return this.#line < this.#waiting.length
  }

  /** Goes on for about this long; true when lines are left. */
  match(sliceMs: number): boolean {
    if (this.#patterns.every(({ isOff }) => isOff)) this.#passOver()
    if (!this.hasMore) {
      this.#forgetLines()
      return false
    }
    const until = performance.now() + sliceMs
    const isDone = runWithin(sliceMs + LINE_MS, () => {
      do this.#matchLine()
      while (this.hasMore && performance.now() < until)
    })
    if (!isDone) this.#tryAlone()
    if (!this.hasMore) this.#forgetLines()
    return this.hasMore
  }

  /** Gives up the lines that wait. */
  skip(): void {
    this.#skipped += this.#waiting.length - this.#line
    this.#passOver()
    this.#forgetLines()
  }

  /** What was found since the last time. */
  take() {
    const found = { matches: this.#matches, misses: this.#misses, count: this.#count, skipped: this.#skipped }
    this.#matches = []
    this.#misses = []
    return found
  }

  #matchLine(): void {
    for (; this.#pattern < this.#patterns.length; this.#pattern += 1) this.#tryPattern()
    this.#nextLine()
  }

  #tryPattern(): void {
    const pattern = this.#patterns[this.#pattern]
    const line = this.#waiting[this.#line]
    if (pattern === undefined || line === undefined || pattern.isOff) return
    if (pattern.group !== undefined && this.#groups.has(pattern.group)) return
    const last = lastMatch(pattern, line.text)
    if (last === undefined) return
    if (pattern.group !== undefined) this.#groups.add(pattern.group)
    this.#note(pattern, { id: pattern.id, groups: { ...last.groups }, at: this.#count + 1, readAtMs: line.readAtMs })
  }

  #note({ isOnce }: Tried, match: PatternMatch): void {
    if (isOnce === true && this.#once.has(match.id)) return
    if (isOnce === true) this.#once.add(match.id)
    const before = this.#matches.at(-1)
    if (before?.id === match.id && before.readAtMs === match.readAtMs) this.#matches.pop()
    this.#matches.push(match)
  }

  #tryAlone(): void {
    const pattern = this.#patterns[this.#pattern]
    const line = this.#waiting[this.#line]
    if (pattern === undefined || line === undefined) return // interrupted between two lines
    const startedAt = performance.now()
    pattern.isOff = !runWithin(ALONE_MS, () => this.#tryPattern())
    const isSlow = !pattern.isSlow && performance.now() - startedAt > LINE_MS
    if (pattern.isOff || isSlow)
      this.#misses.push({ id: pattern.id, line: line.text.slice(0, SHOWN_LINE), isOff: pattern.isOff })
    pattern.isSlow ||= isSlow
    this.#pattern += 1
  }

  #nextLine(): void {
    this.#groups.clear()
    this.#pattern = 0
    this.#line += 1
    this.#count += 1
  }

  #passOver(): void {
    while (this.hasMore) this.#nextLine()
  }

  #forgetLines(): void {
    this.#waiting = []
    this.#line = 0
  }
}

function lastMatch({ expression, isOnce }: Tried, line: string): RegExpExecArray | undefined {
  expression.lastIndex = 0
  let last: RegExpExecArray | undefined
  for (let match = expression.exec(line); match !== null; match = expression.exec(line)) {
    last = match
    if (isOnce === true) return last
    if (match[0] === '') expression.lastIndex += 1
  }
  return last
}

let work: () => void = () => undefined
const sandbox = createContext({ work: () => work() })
const callWork = new Script('work()')

/** False when it was interrupted after that time. */
function runWithin(timeoutMs: number, what: () => void): boolean {
  work = what
  try {
    callWork.runInContext(sandbox, { timeout: Math.ceil(timeoutMs) })
    return true
  } catch (error) {
    // It is an Error of the sandbox, no instance of ours.
    if (Object(error).code === 'ERR_SCRIPT_EXECUTION_TIMEOUT') return false
    throw error
  }
}
