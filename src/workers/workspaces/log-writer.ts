import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { KeptLines } from '../../base/terminal/index.js'

/** Passes lines on to where every machine can read them, at the pace that Redis is to bear. */
export type LogWriter = {
  write(...lines: readonly string[]): void
  /** So many lines are missing here. */
  lose(count: number): void
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
/** Lines of a moment go out together. */
const HOLD_MS = 50
const CLOSE_MS = 3000

/** Lines are for people: they are held for a moment, and lost while Redis is unreachable. */
export function createLogWriter(
  append: (lines: readonly string[]) => Promise<void>,
  options: LogWriterOptions,
): LogWriter {
  const held = new KeptLines(MAX_WRITE_BYTES)
  let timer: NodeJS.Timeout | undefined
  let writing: Promise<void> | undefined
  /** When the last two writes began. */
  let times: readonly [number, number] = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY]

  function take(...lines: readonly string[]): readonly string[] {
    clearTimeout(timer)
    timer = undefined
    const { head, lost, tail } = held.take()
    const marker = `[loopfleet: ${lost} lines were left out here; ${options.whole} has them]`
    return [...head, ...(lost === 0 ? [] : [marker]), ...tail, ...lines]
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
    lose(count) {
      held.lose(count)
      if (held.count > 0) schedule(HOLD_MS)
    },
    take,
    flush() {
      if (writing === undefined && waitMs() <= 0) pass()
    },
    async close(...lines) {
      for (const line of lines) held.add(line)
      const timer = new AbortController()
      const late = sleep(CLOSE_MS, undefined, { signal: timer.signal }).catch(() => undefined)
      await Promise.race([closeSoon(timer.signal), late])
      timer.abort()
    },
  }
}
