import { readFile } from 'node:fs/promises'
import type { Redis } from 'ioredis'

type Kept = {
  readonly hash?: Record<string, string>
  readonly string?: string
  readonly list?: string[]
  readonly set?: string[]
  readonly zset?: string[]
  readonly stream?: [string, string[]][]
}

/** Writes what an older build has left in Redis, from a file of `test/fixtures/redis`. */
export async function restoreRedis(client: Redis, file: string): Promise<void> {
  const text = await readFile(new URL(`../fixtures/redis/${file}`, import.meta.url), 'utf8')
  for (const [key, { hash, string, list, set, zset, stream }] of Object.entries(
    JSON.parse(text) as Record<string, Kept>,
  )) {
    if (hash !== undefined) await client.hset(key, hash)
    if (string !== undefined) await client.set(key, string)
    if (list !== undefined) await client.rpush(key, ...list)
    if (set !== undefined) await client.sadd(key, ...set)
    if (zset !== undefined) {
      for (let at = 0; at < zset.length; at += 2) await client.zadd(key, zset[at + 1] ?? '', zset[at] ?? '')
    }
    for (const [id, fields] of stream ?? []) await client.xadd(key, id, ...fields)
  }
}
