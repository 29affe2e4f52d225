import { setTimeout as sleep } from 'node:timers/promises'
import { type LoopfleetError, messageOf } from '../../base/index.js'
import { RedisUnfitError, RedisUnreachableError, refusalOf } from '../redis-basics/index.js'
import { type Deadline, LATE, withDeadline } from './deadline.js'
import type { RedisLink } from './open-redis.js'

export type PromptOptions = {
  /** Earlier work of the same caller, which comes first; how it ends does not matter. */
  readonly after?: Promise<unknown>
}

/** Does work that somebody waits for; `signal` aborts when that caller was refused. */
export type Promptly = <T>(work: (signal: AbortSignal) => Promise<T>, options?: PromptOptions) => Promise<T>

const WITHIN_MS = 3_000
const AGAIN_MS = 250
/** After that, the reason for a refusal is asked for. */
const SLOW_MS = 300

/**
 * For what somebody waits for: an order, a stop, a click. It answers within three seconds, or throws
 * LF_REDIS_UNREACHABLE or LF_REDIS_UNFIT, and what was refused is not done later. A write that waits for Redis is
 * sent again after every outage, and one that Redis withholds is carried out when the pause is over, so each script carries
 * the deadline, by the clock of Redis, and does nothing after it
 * ([decision 27](../../docs/adr/0027-a-deadline-in-the-script.md)).
 */
export async function promptly<T>(
  link: Pick<RedisLink, 'url' | 'client' | 'whyUnusable' | 'tryWrites'>,
  work: (signal: AbortSignal) => Promise<T>,
  { after }: PromptOptions = {},
): Promise<T> {
  const until = performance.now() + WITHIN_MS
  const refused = new AbortController()
  const over = new AbortController()
  let why: LoopfleetError | undefined
  let deadline: Deadline | undefined

  /** Resolves with the deadline as soon as Redis would take writes. */
  async function whenWritable(): Promise<Deadline> {
    for (;;) {
      const asked = await askForDeadline(link, until)
      if ('redisMs' in asked) return asked
      why = asked.error
      if (refused.signal.aborted || link.client.status === 'end') throw why
      await sleep(AGAIN_MS, undefined, { signal: refused.signal })
    }
  }

  async function answer(): Promise<T> {
    await after?.catch(() => undefined)
    const found = await whenWritable()
    refused.signal.throwIfAborted()
    deadline = found
    return await withDeadline(found, () => work(refused.signal))
  }

  async function refuse(): Promise<never> {
    const signal = over.signal
    await sleep(SLOW_MS, undefined, { signal })
    const asked = askForDeadline(link, until).then(({ error }) => {
      why = error ?? why
    })
    asked.catch(() => undefined)
    await sleep(until - performance.now(), undefined, { signal })
    const refusal = why ?? new RedisUnreachableError({ url: link.url, reason: NO_ANSWER })
    if (deadline !== undefined) deadline.refusal = refusal
    refused.abort(refusal)
    throw refusal
  }

  const refusal = refuse()
  refusal.catch(() => undefined)
  const answered = answer()
  answered.catch(() => undefined) // after the refusal nobody waits for it
  try {
    const value = await Promise.race([answered, refusal])
    return value
  } catch (error) {
    if (messageOf(error).startsWith(LATE)) return await refusal
    throw error
  } finally {
    over.abort()
    if (deadline !== undefined && !refused.signal.aborted) deadline.isOver = true
  }
}

const NO_ANSWER = `no answer within ${WITHIN_MS / 1000} s`

async function askForDeadline(
  link: Pick<RedisLink, 'url' | 'whyUnusable' | 'tryWrites'>,
  until: number,
): Promise<(Deadline & { readonly error?: undefined }) | { readonly error: LoopfleetError }> {
  const { url } = link
  const error = await link.whyUnusable()
  if (error !== undefined) return { error }
  try {
    const { refusal: refused, redisMs } = await link.tryWrites()
    const refusal = refusalOf(new Error(refused))
    if (refusal !== undefined)
      return { error: new RedisUnfitError({ url, fault: `takes no writes: ${refusal.fault}`, wayOut: refusal.wayOut }) }
    if (Number.isNaN(redisMs)) return { error: new RedisUnreachableError({ url, reason: refused }) }
    // The time is that of an earlier moment than this one, so the deadline is never late.
    return { redisMs: redisMs + until - performance.now() }
  } catch (error) {
    return { error: new RedisUnreachableError({ url, reason: messageOf(error) }, error) }
  }
}
