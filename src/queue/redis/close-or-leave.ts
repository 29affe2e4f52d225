import { setTimeout as sleep } from 'node:timers/promises'
import { isWithin } from '../../base/index.js'
import { pong, refusalNow } from '../redis-basics/index.js'
import type { RedisLink } from './open-redis.js'

const CHECK_MS = 1_000
// What closes without its connection closes by then.
const CLOSED_MS = 200
// Of the 9 s that a part has for its end.
const GRACE_MS = 2_000

/**
 * Waits until something of BullMQ is closed, but not while Redis does not answer: BullMQ then waits for answers that do
 * not come, and closing the link ends its connections anyway. Never rejects.
 */
export async function closeOrLeave(link: Pick<RedisLink, 'client'>, closing: Promise<unknown>): Promise<void> {
  const closed = closing.catch(() => undefined) // a connection that is gone is closed, too
  const limitMs = () => (link.client.status === 'ready' ? CHECK_MS : CLOSED_MS)
  while (!(await isWithin(closed, limitMs()))) if (!(await answers(link))) return
}

/** For what a part reports as it ends, and what expires if it cannot be reported. Never rejects. */
export async function reportOrLeave(link: Pick<RedisLink, 'client'>, report: () => Promise<unknown>): Promise<void> {
  if (link.client.status === 'ready') await closeOrLeave(link, report())
}

/**
 * Once a part ends, a Redis that does not answer or refuses writes is left after a grace period: what still waits for it
 * fails, so that the part ends in order before its parent kills it.
 */
export function leaveWhenUnusable(
  link: Pick<RedisLink, 'client' | 'close' | 'leave'>,
  options: { readonly ending: AbortSignal; readonly graceMs?: number },
): void {
  const { ending, graceMs = GRACE_MS } = options
  const isClosed = () => link.client.status === 'end'
  const leave = async () => {
    if (isClosed()) return
    const closed = new AbortController()
    link.client.once('end', () => closed.abort())
    const wait = (ms: number) => sleep(ms, undefined, { ref: false, signal: closed.signal }).catch(() => undefined)
    await wait(graceMs)
    while (!isClosed()) {
      if (!(await answers(link))) return link.leave()
      if (refusalNow(link.client) !== undefined) return await link.close()
      await wait(CHECK_MS)
    }
  }
  if (ending.aborted) void leave()
  else ending.addEventListener('abort', () => void leave(), { once: true })
}

// A connection may be ready while nobody is at its other end: stopped, or behind a network that is cut.
async function answers({ client }: Pick<RedisLink, 'client'>): Promise<boolean> {
  if (client.status !== 'ready') return false
  return await isWithin(pong(client), CHECK_MS).catch(() => false)
}
