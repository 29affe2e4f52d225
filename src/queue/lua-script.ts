import { createHash } from 'node:crypto'
import type { Redis } from 'ioredis'

export type LuaScript = (client: Redis, keys: readonly string[], args: readonly (string | number)[]) => Promise<unknown>

/** A script that runs in Redis as one step nothing can come between; sent once, then called by its hash. */
export function luaScript(source: string): LuaScript {
  const sha = createHash('sha1').update(source).digest('hex')
  return async (client, keys, args) => {
    try {
      return await client.evalsha(sha, keys.length, ...keys, ...args)
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error
      return await client.eval(source, keys.length, ...keys, ...args)
    }
  }
}
