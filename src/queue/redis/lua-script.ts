import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import { noteRefusal, refusalOf } from '../redis-basics/index.js'
import { deadlineNow, LATE } from './deadline.js'

export type LuaScript = (client: Redis, keys: readonly string[], args: readonly (string | number)[]) => Promise<unknown>

const AGAIN_MS = 500

/** What scripts begin with that need the time: that of Redis, in ms, so that hosts whose clocks differ agree. */
export const LUA_CLOCK = `
local function now()
  local time = redis.call('TIME')
  return math.floor(time[1] * 1000 + time[2] / 1000)
end
local function stamp()
  return string.format('%.0f', now())
end
`

// The last argument is not the script's: until when it may be carried out, in ms by the clock of Redis, or ''.
const UNTIL = `
do
  local deadline = table.remove(ARGV)
  if deadline ~= '' then
    local time = redis.call('TIME')
    if time[1] * 1000 + time[2] / 1000 > tonumber(deadline) then
      return redis.error_reply('${LATE} the caller was refused before')
    end
  end
end
`

/**
 * A script that runs in Redis as one step nothing can come between; sent once, then called by its hash. A Redis that
 * takes no writes for now is waited for, like an unreachable one, unless a caller needs the answer soon (`promptly`).
 */
export function luaScript(body: string): LuaScript {
  const source = `${UNTIL}${body}`
  const sha = createHash('sha1').update(source).digest('hex')
  return async (client, keys, args) => {
    for (;;) {
      try {
        const answer = await call(client, keys, [...args, deadlineNow() ?? ''])
        noteRefusal(client, undefined, sha)
        return answer
      } catch (error) {
        const refusal = refusalOf(error) // nothing of the script was done then
        if (refusal === undefined) throw error
        noteRefusal(client, refusal, sha)
        await sleep(AGAIN_MS)
      }
    }
  }

  async function call(client: Redis, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
    try {
      return await client.evalsha(sha, keys.length, ...keys, ...args)
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error
      return await client.eval(source, keys.length, ...keys, ...args)
    }
  }
}
