import { setTimeout as sleep } from 'node:timers/promises'
import { failureClassOf, isUnclassified } from './errors.js'

export type BackOffOptions = {
  readonly firstMs?: number
  readonly factor?: number
  /** No wait is longer than this. */
  readonly maxMs?: number
  /** The share of a wait that chance may take away, so that a fleet does not knock all at the same time. */
  readonly jitter?: number
}

export type RetryOptions = {
  readonly signal: AbortSignal
  /** Calls in all; without it there is no limit for what is transient, and ten for what nobody has classified. */
  readonly attempts?: number
  /** By default only what is transient is tried again. */
  readonly shouldRetry?: (error: unknown) => boolean
  readonly backOff?: BackOffOptions
  /** Called before each wait, for a log line. */
  readonly onRetry?: (failed: { readonly error: unknown; readonly attempt: number; readonly waitMs: number }) => void
}

/** An error that nobody has classified is given up at this attempt, in a queue about ten minutes after the first one. */
export const UNCLASSIFIED_ATTEMPTS = 10

/** How long to wait after the given attempt (1, 2, …) has failed: grows by `factor`, never exceeds `maxMs`. */
export function backOffMs(attempt: number, options: BackOffOptions = {}, random: () => number = Math.random): number {
  const { firstMs = 1000, factor = 2, maxMs = 300_000, jitter = 0.2 } = options
  const longest = Math.min(maxMs, firstMs * factor ** (Math.max(1, attempt) - 1))
  return Math.round(longest * (1 - jitter * random()))
}

/**
 * Does `work` until it succeeds. Throws its last error when attempts run out or the error is not worth another try,
 * and the signal's reason as soon as that is aborted.
 */
export async function retry<T>(work: (attempt: number) => Promise<T>, options: RetryOptions): Promise<T> {
  const { signal, attempts = Number.POSITIVE_INFINITY, shouldRetry = isTransient, backOff, onRetry } = options
  let unclassified = 0
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted()
    try {
      return await work(attempt)
    } catch (error) {
      signal.throwIfAborted() // an error caused by an abort is thrown as the abort
      if (isUnclassified(error)) unclassified += 1
      if (unclassified >= UNCLASSIFIED_ATTEMPTS) throw error
      if (attempt >= attempts || !shouldRetry(error)) throw error
      const waitMs = backOffMs(attempt, backOff)
      onRetry?.({ error, attempt, waitMs })
      await pause(waitMs, signal)
    }
  }
}

function isTransient(error: unknown): boolean {
  return failureClassOf(error) === 'transient'
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, { signal })
  } catch (error) {
    signal.throwIfAborted() // the reason, not Node's AbortError around it
    throw error
  }
}
