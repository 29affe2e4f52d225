import { luaScript } from './lua-script.js'
import type { RedisLink } from './open-redis.js'

// A job without its lock that is marked as stalled is moved to the head of the queue by the next stalled check.
const RELEASE = luaScript(`
local released = {}
local ids = ARGV
if #ARGV == 1 and ARGV[1] == '*' then ids = redis.call('LRANGE', KEYS[1], 0, -1) end
for _, id in ipairs(ids) do
  if redis.call('LPOS', KEYS[1], id) then
    redis.call('DEL', KEYS[3] .. id .. ':lock')
    redis.call('SADD', KEYS[2], id)
    table.insert(released, id)
  end
end
return released`)

const COUNT_FAILURE = luaScript(`
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
return redis.call('HINCRBY', KEYS[1], 'loopfleet:program-failures', 1)`)

/**
 * Takes jobs from a holder that is known to be dead, so that they need not wait for its locks to run out. The caller
 * has the proof (the data folder's lock); returns the ids that were held.
 */
export async function releaseHeldJobs(
  link: RedisLink,
  queue: string,
  ids: readonly string[] | 'all',
): Promise<readonly string[]> {
  if (ids.length === 0) return []
  const base = `${link.prefix}:${queue}:`
  const released = await RELEASE(link.client, [`${base}active`, `${base}stalled`, base], ids === 'all' ? ['*'] : ids)
  return Array.isArray(released) ? released.map(String) : []
}

/** Deletes a job's lock, whoever holds it: its holder can neither renew it nor finish the job any more. */
export async function breakLock(link: RedisLink, queue: string, id: string): Promise<void> {
  await link.client.del(`${link.prefix}:${queue}:${id}:lock`)
}

/** Counts a failure of the job's program in the job itself; returns how many there were. */
export async function countProgramFailure(link: RedisLink, queue: string, id: string): Promise<number> {
  return Number(await COUNT_FAILURE(link.client, [`${link.prefix}:${queue}:${id}`], []))
}
