export type Throttle<Value> = {
  /** Passes the value on now, or the newest one when the interval is over. */
  offer(value: Value): void
  /** Passes on what is held back and waits until it is written. */
  flush(): Promise<void>
}

/** At most one write per interval, never two at once, and the last value always gets through. */
export function createThrottle<Value>(everyMs: number, write: (value: Value) => Promise<void>): Throttle<Value> {
  let held: { readonly value: Value } | undefined
  let timer: NodeJS.Timeout | undefined
  let writing: Promise<void> = Promise.resolve()
  let lastAt = Number.NEGATIVE_INFINITY

  function pass(): void {
    timer = undefined
    if (held === undefined) return
    const { value } = held
    held = undefined
    lastAt = performance.now()
    writing = writing.then(() => write(value))
  }

  return {
    offer(value) {
      held = { value }
      timer ??= setTimeout(pass, Math.max(0, lastAt + everyMs - performance.now()))
    },
    async flush() {
      clearTimeout(timer)
      pass()
      await writing
    },
  }
}
