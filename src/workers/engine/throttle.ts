export type Throttle<Value> = {
  /** Passes the value on now, or the newest one when the interval is over and the write before it is done. */
  offer(value: Value): void
  /** Passes on what is held back, immediately unless it is writing, and waits until it is written; rejects when that write fails. */
  flush(): Promise<void>
  /** Gives what is held back to the caller, to be written by other means, when no write is under way any more. */
  take(): Promise<Value | undefined>
  /** Forgets what is held back. */
  drop(): void
}

/**
 * At most one write per interval, never two at the same time, and the last value always gets through. The interval begins when
 * a write is done: what counts is when it arrives, which on a busy machine is later than when it was sent.
 */
export function createThrottle<Value>(everyMs: number, write: (value: Value) => Promise<void>): Throttle<Value> {
  let held: { readonly value: Value } | undefined
  let timer: NodeJS.Timeout | undefined
  let writing: Promise<void> | undefined
  let lastAt = Number.NEGATIVE_INFINITY

  function schedule(): void {
    timer ??= setTimeout(pass, Math.max(0, lastAt + everyMs - performance.now()))
  }

  function pass(): void {
    timer = undefined
    if (held === undefined || writing !== undefined) return
    const { value } = held
    held = undefined
    writing = write(value).finally(() => {
      writing = undefined
      lastAt = performance.now()
      if (held !== undefined) schedule()
    })
    writing.catch(() => undefined) // a flush rejects with it; otherwise the next value replaces this one
  }

  function drop(): void {
    held = undefined
    clearTimeout(timer)
    timer = undefined
  }

  return {
    offer(value) {
      held = { value }
      if (writing === undefined) schedule()
    },
    async flush() {
      if (writing !== undefined) await writing.catch(() => undefined)
      clearTimeout(timer)
      pass()
      await writing
    },
    async take() {
      if (writing !== undefined) await writing.catch(() => undefined)
      const taken = held?.value
      drop()
      return taken
    },
    drop,
  }
}
