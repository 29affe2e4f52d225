import type { AdaptiveLimit } from './adaptive-limit.js'
import { onAbort } from './patience.js'

export type RunAdaptiveOptions = {
  readonly limit: AdaptiveLimit
  readonly signal: AbortSignal
}

/**
 * Works through the items, as many side by side as the limit allows at the time. The first error ends it; all that has
 * begun is waited for, so that nothing of it happens afterwards.
 */
export async function runAdaptive<T>(
  items: readonly T[],
  work: (item: T, signal: AbortSignal) => Promise<void>,
  options: RunAdaptiveOptions,
): Promise<void> {
  const { limit, signal } = options
  const ending = new AbortController()
  signal.throwIfAborted()
  const off = onAbort([signal], (reason) => ending.abort(reason))
  const running = new Set<Promise<void>>()
  let failure: { readonly error: unknown } | undefined
  try {
    for (const item of items) {
      while (running.size >= limit.limit) await Promise.race(running)
      if (ending.signal.aborted) break
      const one = work(item, ending.signal)
        .catch((error: unknown) => {
          failure ??= { error }
          ending.abort(error)
        })
        .finally(() => running.delete(one))
      running.add(one)
    }
    await Promise.all(running)
  } finally {
    off()
  }
  signal.throwIfAborted()
  if (failure !== undefined) throw failure.error
}
