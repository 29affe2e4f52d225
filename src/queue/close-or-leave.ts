import { setTimeout as sleep } from 'node:timers/promises'
import type { RedisLink } from './open-redis.js'

const LOOK_MS = 1_000

/**
 * Waits until something of BullMQ is closed, but not while Redis is away: BullMQ then waits for answers that do not
 * come, and closing the link lets go of its connections anyway. Never rejects.
 */
export async function closeOrLeave(link: Pick<RedisLink, 'client'>, closing: Promise<unknown>): Promise<void> {
  const closed = closing.then(
    () => true,
    () => true, // a connection that is gone is closed, too
  )
  for (;;) {
    const wait = new AbortController()
    const tooLong = sleep(LOOK_MS, false, { signal: wait.signal }).catch(() => false)
    const isClosed = await Promise.race([closed, tooLong])
    wait.abort()
    if (isClosed || link.client.status !== 'ready') return
  }
}
