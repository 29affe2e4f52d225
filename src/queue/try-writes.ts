import type { Redis } from 'ioredis'
import { messageOf } from '../base/errors.js'

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

/** The refusal of the first kind of write that Redis would refuse, or ''. Throws when it cannot be asked. */
export async function tryWrites({
  client,
  prefix,
}: {
  readonly client: Redis
  readonly prefix: string
}): Promise<string> {
  try {
    return String(await client.eval(TRY_WRITES, 1, `${prefix}:write-check-absent`))
  } catch (error) {
    // Its own answer, such as one that forbids scripts; all else means that it cannot be asked.
    if (error instanceof Error && error.name === 'ReplyError') return messageOf(error)
    throw error
  }
}
