import { performance } from 'node:perf_hooks'
import type { Piscina } from 'piscina'
import { messageOf } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import type { TakenLines } from '../../base/terminal/index.js'
import { openThreadPool, threadFileBeside } from '../../base/threads/index.js'
import { LastLines } from '../output-lines.js'
import type { OutputAnswer, OutputPattern, OutputTask, PatternMatch, PatternMiss } from './messages.js'
import type { OutputReader } from './output-reader.js'

type OutputReaderOptions = {
  readonly patterns: readonly OutputPattern[]
  readonly onMatch: (match: PatternMatch) => void
  /** A pattern is slow, or off from now on. */
  readonly onMiss: (miss: PatternMiss) => void
  /** Lines for people, with SGR colours and no other control sequence. */
  readonly onLines?: ((lines: TakenLines) => void) | undefined
  /** Called while lines wait to be matched, so that nobody takes the program for silent. */
  readonly onTurn?: (() => void) | undefined
  /** So many lines after the end of the program were not matched. */
  readonly onSkipped?: ((lines: number) => void) | undefined
}

/** A reader in the thread. */
type ThreadReader = OutputReader & {
  /** Lines that patterns were tried on. */
  readonly count: number
}

/** The one thread of a host that reads what its programs print; it starts with the first of them. */
export type OutputThread = {
  open(options: OutputReaderOptions): ThreadReader
  close(): Promise<void>
}

/** A line that is not ended, such as a progress bar, is shown again and again as it stands. */
const SHOW_EVERY_MS = 5000
/** Of lines that the thread holds back, since it has given some just now. */
const TAKE_AFTER_MS = 200
/** After the end of a program its lines are matched for so long. */
const HURRY_MS = 3000
/** Of V8's young generation, where next to nothing grows old; by default it takes 48. */
const YOUNG_MB = 4
const OLD_MB = 64

export function createOutputThread(deps: { readonly log: Logger }): OutputThread {
  const closed = new AbortController()
  let pool: Promise<Piscina> | undefined
  let readers = 0

  function start(): Promise<Piscina> {
    const resourceLimits = { maxYoungGenerationSizeMb: YOUNG_MB, maxOldGenerationSizeMb: OLD_MB }
    const file = threadFileBeside(import.meta.url)
    return openThreadPool({ file, task: 'readOutput', threads: 1, resourceLimits }, deps) // a reader's state is in its thread
  }

  async function ask(task: OutputTask): Promise<OutputAnswer> {
    closed.signal.throwIfAborted() // a pool that is destroyed would start its thread again
    pool ??= start()
    // Handed over, so that a flood leaves no copies to be collected here.
    const transferList = task.chunk === undefined ? [] : [task.chunk.buffer as ArrayBuffer]
    return await (await pool).run(task, { transferList })
  }

  return {
    open(options) {
      readers += 1
      return new Reader(readers, options, { ask, log: deps.log })
    },
    async close() {
      closed.abort(new Error('the program went on after its host had ended'))
      await (await pool)?.destroy()
    },
  }
}

type Read = { readonly bytes: Buffer; readonly readAtMs: number }
type ReaderDeps = { readonly ask: (task: OutputTask) => Promise<OutputAnswer>; readonly log: Logger }

class Reader implements ThreadReader {
  count = 0
  readonly #id: number
  readonly #options: OutputReaderOptions
  readonly #deps: ReaderDeps
  readonly #last = new LastLines()
  readonly #off = new Set<string>()
  #isOpen = false
  #hurryUntil = Number.POSITIVE_INFINITY
  readonly #timers = new Map<'take' | 'show', NodeJS.Timeout>()
  #hasFailed = false

  constructor(id: number, options: OutputReaderOptions, deps: ReaderDeps) {
    this.#id = id
    this.#options = options
    this.#deps = deps
  }

  async feed(chunk: Buffer, readAtMs = Date.now()): Promise<void> {
    await this.#matchAll(await this.#ask('read', { bytes: chunk, readAtMs }))
  }

  hurry(): void {
    this.#hurryUntil = Math.min(this.#hurryUntil, performance.now() + HURRY_MS)
  }

  async finish(): Promise<void> {
    const skipped = await this.#matchAll(await this.#ask('finish'))
    await this.#ask('forget')
    for (const timer of this.#timers.values()) clearTimeout(timer)
    if (skipped > 0) this.#options.onSkipped?.(skipped)
  }

  last(): string[] {
    return this.#last.get()
  }

  /** The thread takes turns between its readers; ours has more to do. Returns how many lines were given up so far. */
  async #matchAll(first: OutputAnswer | undefined): Promise<number> {
    let answer = first
    while (answer?.hasMore === true) {
      this.#options.onTurn?.()
      answer = await this.#ask(performance.now() > this.#hurryUntil ? 'skip' : 'match')
    }
    return answer?.skipped ?? 0
  }

  /** Undefined when the thread died of it; another one goes on with what comes next. */
  async #ask(what: OutputTask['what'], read?: Read): Promise<OutputAnswer | undefined> {
    const patterns = this.#options.patterns.filter(({ id }) => !this.#off.has(id))
    const more = read && { chunk: new Uint8Array(read.bytes), readAtMs: read.readAtMs }
    try {
      const answer = await this.#deps.ask({ reader: this.#id, what, ...more, ...(this.#isOpen ? {} : { patterns }) })
      if (!answer.isKnown) {
        this.#isOpen = false
        return await this.#ask(what, read)
      }
      this.#isOpen = true
      this.#take(answer)
      return answer
    } catch (error) {
      this.#isOpen = false
      if (!this.#hasFailed) this.#deps.log.error({ err: error }, `output was not read: ${messageOf(error)}`)
      this.#hasFailed = true
      return undefined
    }
  }

  #take({ matches, misses, lines, count, hasLines, isUnfinished }: OutputAnswer): void {
    this.count = count
    this.#last.add([...lines.head, ...lines.tail])
    if (lines.head.length + lines.tail.length > 0) this.#options.onLines?.(lines)
    for (const match of matches) this.#options.onMatch(match)
    for (const miss of misses) {
      if (miss.isOff) this.#off.add(miss.id)
      this.#options.onMiss(miss)
    }
    if (hasLines) this.#askLater('take', TAKE_AFTER_MS)
    if (isUnfinished) this.#askLater('show', SHOW_EVERY_MS)
  }

  #askLater(what: 'take' | 'show', ms: number): void {
    if (this.#timers.has(what)) return
    const timer = setTimeout(() => {
      this.#timers.delete(what)
      void this.#ask(what)
    }, ms)
    this.#timers.set(what, timer.unref())
  }
}
