import { setTimeout as sleep } from 'node:timers/promises'
import type { LoopfleetError } from '../base/errors.js'
import type { RedisLink } from './open-redis.js'
import { RedisUnfitError, RedisUnreachableError } from './redis-errors.js'
import { refusalOf } from './redis-refusals.js'
import { tryWrites } from './try-writes.js'

const WITHIN_MS = 3_000
const AGAIN_MS = 250

/**
 * Resolves as soon as Redis would take writes; throws LF_REDIS_UNREACHABLE or LF_REDIS_UNFIT when it does not within three
 * seconds. For what must be answered soon: a write that has been sent waits through every outage, and may still succeed
 * after its caller was refused, so this asks before anything is written.
 */
export async function whenWritable(link: RedisLink): Promise<void> {
  const until = performance.now() + WITHIN_MS
  for (;;) {
    const error = await whyNotWritable(link)
    if (error === undefined) return
    if (performance.now() >= until || link.client.status === 'end') throw error
    await sleep(AGAIN_MS)
  }
}

async function whyNotWritable(link: RedisLink): Promise<LoopfleetError | undefined> {
  const { url } = link
  const problem = await link.check()
  if (problem !== undefined) return new RedisUnreachableError({ url, reason: problem.replace(/\.$/, '') })
  const refusal = refusalOf(new Error(await tryWrites(link)))
  if (refusal === undefined) return undefined
  return new RedisUnfitError({ url, fault: `takes no writes: ${refusal.fault}`, wayOut: refusal.wayOut })
}
