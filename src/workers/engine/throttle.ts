export type Throttle<Value> = {
  /** Writes the value now, or, within the interval or during a write, the newest value afterwards. */
  offer(value: Value): void
  /** Writes the held value without waiting for the interval, after a current write; rejects if the write fails. */
  flush(): Promise<void>
  /** Returns the held value, which the caller writes itself, after a current write has ended. */
  take(): Promise<Value | undefined>
  /** Drops the held value. */
  drop(): void
}

/**
 * Writes at most one value per interval, never two at the same time, and always the last one. The interval begins at the end of
 * a write, since on a busy machine a write takes long.
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
