import { onAbort } from './abort-signals.js'

export type RunBoundedOptions = {
  /** How many items may be under way. */
  readonly atOnce: number
  readonly signal: AbortSignal
}

/**
 * Works through the items, a bounded number at a time. The first error ends it; all that has begun is waited for, so
 * that nothing of it happens afterwards. Not by p-limit, which makes a promise for each of a hundred thousand items first, and
 * goes on with those that wait after an error.
 */
export async function runBounded<T>(
  items: readonly T[],
  work: (item: T, signal: AbortSignal) => Promise<void>,
  options: RunBoundedOptions,
): Promise<void> {
  const { atOnce, signal } = options
  signal.throwIfAborted()
  const ending = new AbortController()
  const off = onAbort([signal], (reason) => ending.abort(reason))
  let next = 0

  async function lane(): Promise<void> {
    while (next < items.length) {
      ending.signal.throwIfAborted()
      const item = items[next]
      next += 1
      if (item !== undefined) await work(item, ending.signal)
    }
  }

  const lanes = Array.from({ length: Math.min(atOnce, items.length) }, () =>
    lane().catch((error: unknown) => ending.abort(error)),
  )
  await Promise.all(lanes)
  off()
  ending.signal.throwIfAborted()
}
