import { setTimeout as sleep } from 'node:timers/promises'

/** Whether the promise settles within this time; rejects as it does. */
export async function isWithin(promise: Promise<unknown>, maxMs: number): Promise<boolean> {
  const giveUp = new AbortController()
  const pause = sleep(maxMs, false, { signal: giveUp.signal }).catch(() => false)
  const isDone = await Promise.race([promise.then(() => true), pause])
  giveUp.abort()
  return isDone
}
