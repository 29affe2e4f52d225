import { setTimeout as sleep } from 'node:timers/promises'

/** A look at a fleet costs CPU that the fleet needs, so what has taken long is looked at less often. */
const SHARE_OF_THE_WAIT = 0.1
const [MIN_MS, MAX_MS] = [10, 100]

/** Waits until the answer is neither undefined nor false, and gives it; fails with `what` after the time is over. */
export async function until<T>(
  what: string,
  look: () => T | undefined | false | Promise<T | undefined | false>,
  withinMs = 10_000,
): Promise<T> {
  const begunAt = performance.now()
  for (;;) {
    const answer = await look()
    if (answer !== undefined && answer !== false) return answer
    const waitedMs = performance.now() - begunAt
    if (waitedMs > withinMs) throw new Error(`Not within ${withinMs} ms: ${what}`)
    await sleep(Math.min(MAX_MS, Math.max(MIN_MS, waitedMs * SHARE_OF_THE_WAIT)))
  }
}
