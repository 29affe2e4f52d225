import type { Redis } from 'ioredis'
import { z } from 'zod'
import { messageOf } from '../../base/index.js'

// Each kind of write, with a condition that a key without a value never meets: Redis decides whether it would take them, and
// nothing is written, logged or sent to replicas. `pcall` makes a refusal an answer, for which nothing reconnects.
const TRY_WRITES = `
local function refused(...)
  local answer = redis.pcall(...)
  if type(answer) == 'table' and answer.err then return answer.err end
  return false
end
local refusal = refused('SET', KEYS[1], '1', 'XX')
  or refused('XADD', KEYS[1], 'NOMKSTREAM', '*', 'n', '1')
  or refused('ZADD', KEYS[1], 'XX', 1, 'n')
  or refused('LPUSHX', KEYS[1], 'n')
  or refused('HDEL', KEYS[1], 'n')
  or ''
local time = redis.pcall('TIME')
return {refusal, time[1] or '', time[2] or ''}`

/** `refusal` is that of the first kind of write that Redis would refuse, or ''. `redisMs` is its time, NaN if unknown. */
export type WriteAnswer = { readonly refusal: string; readonly redisMs: number }

const answerSchema = z.tuple([z.string(), z.coerce.number(), z.coerce.number()])

/** Asks for each kind of write whether Redis would take it. Throws when it cannot be asked. */
export async function tryWrites({
  client,
  prefix,
}: {
  readonly client: Redis
  readonly prefix: string
}): Promise<WriteAnswer> {
  try {
    const answer = await client.eval(TRY_WRITES, 1, `${prefix}:write-check-absent`)
    const [refusal, seconds, microseconds] = answerSchema.parse(answer)
    return { refusal, redisMs: seconds * 1000 + microseconds / 1000 }
  } catch (error) {
    // Its own answer, such as one that forbids scripts; all else means that it cannot be asked.
    if (error instanceof Error && error.name === 'ReplyError') return { refusal: messageOf(error), redisMs: Number.NaN }
    throw error
  }
}
