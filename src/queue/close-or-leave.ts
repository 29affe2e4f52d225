import { setTimeout as sleep } from 'node:timers/promises'
import type { RedisLink } from './open-redis.js'

const LOOK_MS = 1_000
// Of the 9 s that a part has for its end.
const PATIENCE_MS = 2_000

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
    if (isClosed || !(await answers(link))) return
  }
}

/** For what a part says as it ends, and what runs out by itself if it cannot be said. Never rejects. */
export async function sayOrLeave(link: Pick<RedisLink, 'client'>, say: () => Promise<unknown>): Promise<void> {
  if (link.client.status === 'ready') await closeOrLeave(link, say())
}

/**
 * Once a part is asked to end, a Redis that does not answer is left after a while: whatever still waits for it fails with
 * that, so that the part can end in order before its parent kills it.
 */
export function leaveWhenSilent(
  link: Pick<RedisLink, 'client' | 'close'>,
  options: { readonly signal: AbortSignal; readonly patienceMs?: number },
): void {
  const { signal, patienceMs = PATIENCE_MS } = options
  const leave = async () => {
    await sleep(patienceMs, undefined, { ref: false })
    if (!(await answers(link))) await link.close()
  }
  if (signal.aborted) void leave()
  else signal.addEventListener('abort', () => void leave(), { once: true })
}

// A connection may be ready and nobody at its other end: stopped, or behind a network that is cut.
async function answers({ client }: Pick<RedisLink, 'client'>): Promise<boolean> {
  if (client.status !== 'ready') return false
  const wait = new AbortController()
  const tooLong = sleep(LOOK_MS, false, { signal: wait.signal }).catch(() => false)
  const answered = client.ping().then(
    () => true,
    () => false,
  )
  const isThere = await Promise.race([answered, tooLong])
  wait.abort()
  return isThere
}
