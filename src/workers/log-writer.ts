import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { plainText } from '../base/terminal/plain-text.js'

/** Passes lines on to where every machine can read them, at the pace that Redis is to bear. */
export type LogWriter = {
  write(...lines: readonly string[]): void
  /** Gives what is held back to the caller, with these lines, to be written by other means. */
  take(...lines: readonly string[]): readonly string[]
  /** Passes on what is held back, if the pace allows it now. */
  flush(): void
  /** Passes on what is left, with these lines; never rejects, and takes no longer than Redis may be waited for. */
  close(...lines: readonly string[]): Promise<void>
}

export type LogWriterOptions = {
  /** Names the log that has all lines, for the marker of those left out here. */
  readonly whole: string
}

/** Two writes in a second at most, of together at most 32 KiB. */
const WINDOW_MS = 1000
const MAX_WRITE_BYTES = 16 * 1024
/** When lines come faster, the first ones of a write stay and the newest ones: the cause of an end is in these. */
const HEAD_BYTES = 4 * 1024
const MARKER_BYTES = 512
const TAIL_BYTES = MAX_WRITE_BYTES - HEAD_BYTES - MARKER_BYTES
const MAX_LINE_BYTES = 4000
/** Lines of a moment go out together. */
const HOLD_MS = 50
const CLOSE_MS = 3000

/** Lines are for people: they are held for a moment, and lost while Redis is unreachable. */
export function createLogWriter(
  append: (lines: readonly string[]) => Promise<void>,
  options: LogWriterOptions,
): LogWriter {
  let held = createHeld(options.whole)
  let timer: NodeJS.Timeout | undefined
  let writing: Promise<void> | undefined
  /** When the last two writes began. */
  let times: readonly [number, number] = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY]

  function take(...lines: readonly string[]): readonly string[] {
    clearTimeout(timer)
    timer = undefined
    const taken = [...held.lines(), ...lines]
    held = createHeld(options.whole)
    return taken
  }

  function schedule(holdMs: number): void {
    if (writing !== undefined) return
    timer ??= setTimeout(pass, Math.max(holdMs, waitMs()))
  }

  const waitMs = () => times[0] + WINDOW_MS - performance.now()

  function pass(): void {
    const { count } = held
    const lines = take()
    if (count === 0) return
    times = [times[1], performance.now()]
    // The work goes on when Redis is unreachable for a moment.
    writing = append(lines)
      .catch(() => held.lose(count))
      .finally(() => {
        writing = undefined
        if (held.count > 0) schedule(HOLD_MS)
      })
  }

  async function closeSoon(signal: AbortSignal): Promise<void> {
    await writing
    if (held.count === 0) return
    await sleep(Math.max(0, waitMs()), undefined, { signal }).catch(() => undefined)
    pass()
    await writing
  }

  return {
    write(...lines) {
      for (const line of lines) held.add(line)
      if (held.count > 0) schedule(HOLD_MS)
    },
    take,
    flush() {
      if (writing === undefined && waitMs() <= 0) pass()
    },
    async close(...lines) {
      for (const line of lines) held.add(line)
      const patience = new AbortController()
      const late = sleep(CLOSE_MS, undefined, { signal: patience.signal }).catch(() => undefined)
      await Promise.race([closeSoon(patience.signal), late])
      patience.abort()
    },
  }
}

/** As many lines as one write may have. */
function createHeld(whole: string) {
  const head: string[] = []
  const tail: string[] = []
  let headBytes = 0
  let tailBytes = 0
  let lost = 0

  return {
    /** Lines, with those left out. */
    get count() {
      return head.length + tail.length + lost
    },
    add(line: string): void {
      const short = shorten(line)
      const bytes = bytesOf(short)
      if (tail.length === 0 && lost === 0 && headBytes + bytes <= HEAD_BYTES) {
        head.push(short)
        headBytes += bytes
        return
      }
      tail.push(short)
      tailBytes += bytes
      while (tailBytes > TAIL_BYTES) {
        tailBytes -= bytesOf(tail.shift() ?? '')
        lost += 1
      }
    },
    lose(count: number): void {
      lost += count
    },
    lines(): readonly string[] {
      if (lost === 0) return [...head, ...tail]
      return [...head, `[loopfleet: ${lost} lines were left out here; ${whole} has them]`, ...tail]
    },
  }
}

function bytesOf(line: string): number {
  return Buffer.byteLength(line) + 1
}

function shorten(line: string): string {
  if (bytesOf(line) <= MAX_LINE_BYTES) return line
  const plain = plainText(line) // colours may take more than the text
  if (bytesOf(plain) <= MAX_LINE_BYTES) return plain
  return `${Buffer.from(plain)
    .subarray(0, MAX_LINE_BYTES - 10)
    .toString()
    .replace(/\ufffd+$/, '')} …`
}
