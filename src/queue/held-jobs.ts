import { z } from 'zod'
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

const FIND_BY_TOKEN = luaScript(`
local found = {}
for _, id in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
  local token = redis.call('GET', ARGV[1] .. id .. ':lock')
  if token and string.sub(token, 1, #ARGV[2]) == ARGV[2] then table.insert(found, id .. ' ' .. token) end
end
return found`)

const RELEASE_TOKEN = luaScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[2] then return 0 end
redis.call('DEL', KEYS[1])
redis.call('SADD', KEYS[2], ARGV[1])
return 1`)

// Nobody has begun it since: then `ats` would be higher, and lower in a Redis that came back older. One that the stalled
// check has moved is taken out of the queue. A lock of the same worker is of a take that this worker has just been
// given, or is about to be.
const TAKE_BACK = luaScript(`
if redis.call('EXISTS', KEYS[5]) == 0 then return {'missing', 0} end
local begun = tonumber(redis.call('HGET', KEYS[5], 'ats') or '0')
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[2] then
  if string.sub(holder, 1, #ARGV[5]) == ARGV[5] then return {'held', begun} end
  return {'elsewhere', begun}
end
if begun > tonumber(ARGV[4]) then return {'elsewhere', begun} end
if not redis.call('LPOS', KEYS[3], ARGV[1]) then
  if redis.call('LREM', KEYS[4], 1, ARGV[1]) == 0 then return {'elsewhere', begun} end
  redis.call('LPUSH', KEYS[3], ARGV[1])
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('HSET', KEYS[5], 'ats', ARGV[4])
redis.call('SREM', KEYS[2], ARGV[1])
return {'held', tonumber(ARGV[4])}`)

const COUNT_FAILURE = luaScript(`
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
return redis.call('HINCRBY', KEYS[1], 'loopfleet:' .. ARGV[1] .. '-failures', 1)`)

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

export type HeldJob = { readonly id: string; readonly token: string }

/** The active jobs whose lock's token begins so: those that one worker holds, as Redis sees it. */
export async function findHeldJobs(link: RedisLink, queue: string, tokenStart: string): Promise<readonly HeldJob[]> {
  const base = `${link.prefix}:${queue}:`
  const found = await FIND_BY_TOKEN(link.client, [`${base}active`], [base, tokenStart])
  return (Array.isArray(found) ? found : []).map((text: string) => {
    const space = text.lastIndexOf(' ')
    return { id: text.slice(0, space), token: text.slice(space + 1) }
  })
}

/** Gives a job back if it is still held under that token. */
export async function releaseHeldJob(link: RedisLink, queue: string, job: HeldJob): Promise<void> {
  const base = `${link.prefix}:${queue}:`
  await RELEASE_TOKEN(link.client, [`${base}${job.id}:lock`, `${base}stalled`], [job.id, job.token])
}

const takenBackSchema = z.tuple([z.enum(['held', 'elsewhere', 'missing']), z.int()])

/**
 * `held` also when the holder itself, whose tokens begin so, has just been given it again; `elsewhere` when another one has
 * begun or ended it since; `missing` when Redis does not know it (it came back empty or older). `begun` is how often
 * Redis has seen it begin.
 */
export type TakenBack = { readonly outcome: 'held' | 'elsewhere' | 'missing'; readonly begun: number }

/** Takes a job whose lock has run out again for its holder, who is still at work on it. */
export async function takeBackJob(
  link: RedisLink,
  queue: string,
  job: HeldJob & { readonly begun: number; readonly tokenStart: string },
  lockMs: number,
): Promise<TakenBack> {
  const base = `${link.prefix}:${queue}:`
  const { id, token, begun, tokenStart } = job
  const keys = [`${base}${id}:lock`, `${base}stalled`, `${base}active`, `${base}wait`, `${base}${id}`]
  const [outcome, seen] = takenBackSchema.parse(
    await TAKE_BACK(link.client, keys, [id, token, lockMs, begun, tokenStart]),
  )
  return { outcome, begun: seen }
}

/** Deletes a job's lock, whoever holds it: its holder can neither renew it nor finish the job any more. */
export async function breakLock(link: RedisLink, queue: string, id: string): Promise<void> {
  await link.client.del(`${link.prefix}:${queue}:${id}:lock`)
}

/** Counts a failure of one kind in the job itself; returns how many of that kind there were. */
export async function countFailure(
  link: RedisLink,
  job: { readonly queue: string; readonly id: string },
  kind: 'program' | 'unclassified',
): Promise<number> {
  return Number(await COUNT_FAILURE(link.client, [`${link.prefix}:${job.queue}:${job.id}`], [kind]))
}
