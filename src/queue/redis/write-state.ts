import { refusalOf } from '../redis-basics/index.js'
import type { RedisLink } from './open-redis.js'

/** Whether Redis takes writes of this user; null when that cannot be known. */
export type WriteState = {
  /** Where Redis is, without a password. */
  readonly url: string
  readonly takesWrites: boolean | null
  /** Such as OOM or NOPERM. */
  readonly code: string | null
  /** For people: the reason and the way out. */
  readonly problem: string | null
}

/** Asks Redis without writing anything; needs neither INFO nor CONFIG. Throws when it cannot be asked. */
export async function readWriteState(link: Pick<RedisLink, 'client' | 'url' | 'tryWrites'>): Promise<WriteState> {
  const { url } = link
  const { refusal: refused } = await link.tryWrites()
  if (refused === '') return { url, takesWrites: true, code: null, problem: null }
  const refusal = refusalOf(new Error(refused))
  if (refusal === undefined) {
    return {
      url,
      takesWrites: null,
      code: null,
      problem: `Whether Redis at ${url} takes writes is unknown: ${refused}`,
    }
  }
  const { code, fault, wayOut } = refusal
  const user = link.client.options.username ?? 'default'
  const reason = code === 'NOPERM' ? `${fault} (user "${user}"; ${refused})` : fault
  const problem = `Redis at ${url} takes no writes: ${reason}; ${wayOut}. What hosts and nodes report may be out of date.`
  return { url, takesWrites: false, code, problem }
}
