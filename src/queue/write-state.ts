import { messageOf } from '../base/errors.js'
import type { RedisLink } from './open-redis.js'
import { refusalOf } from './redis-refusals.js'

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

// Each kind of write, with a condition that a key without a value never meets: Redis decides whether it would take them, and
// nothing is written, logged or sent to replicas. `pcall` makes a refusal an answer, for which nothing reconnects.
const TRY_WRITES = `
local function refused(...)
  local answer = redis.pcall(...)
  if type(answer) == 'table' and answer.err then return answer.err end
  return false
end
return refused('SET', KEYS[1], '1', 'XX')
  or refused('XADD', KEYS[1], 'NOMKSTREAM', '*', 'n', '1')
  or refused('ZADD', KEYS[1], 'XX', 1, 'n')
  or refused('LPUSHX', KEYS[1], 'n')
  or refused('HDEL', KEYS[1], 'n')
  or ''`

/** Asks Redis without writing anything; needs neither INFO nor CONFIG. Throws when it cannot be asked. */
export async function readWriteState(link: Pick<RedisLink, 'client' | 'url' | 'prefix'>): Promise<WriteState> {
  const { url } = link
  const refused = await tryWrites(link)
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

async function tryWrites({ client, prefix }: Pick<RedisLink, 'client' | 'prefix'>): Promise<string> {
  try {
    return String(await client.eval(TRY_WRITES, 1, `${prefix}:write-check-absent`))
  } catch (error) {
    // Its own answer, such as one that forbids scripts; all else means that it cannot be asked.
    if (error instanceof Error && error.name === 'ReplyError') return messageOf(error)
    throw error
  }
}
