import { messageOf } from '../base/errors.js'
import type { Logger } from '../base/logger.js'

/** What a command has opened, closed in reverse order, also when starting the next part failed. */
export type Closers = {
  /** Remembers how to close what was just opened. */
  add(name: string, close: () => Promise<unknown>): void
  /** Aborted when the first of them is called. */
  readonly closing: AbortSignal
  closeAll(): Promise<void>
}

export function createClosers(log: Logger): Closers {
  const closers: { readonly name: string; readonly close: () => Promise<unknown> }[] = []
  const closing = new AbortController()
  return {
    closing: closing.signal,
    add: (name, close) => void closers.push({ name, close }),
    async closeAll() {
      closing.abort()
      for (let next = closers.pop(); next !== undefined; next = closers.pop()) {
        try {
          await next.close()
        } catch (error) {
          log.warn({ part: next.name, reason: messageOf(error) }, 'part did not close cleanly')
        }
      }
    },
  }
}

/** Resolves when the signal aborts; never rejects. */
export function whenAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
