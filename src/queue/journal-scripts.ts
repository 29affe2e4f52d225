import { LUA_CLOCK, luaScript } from './lua-script.js'

// Values in a training's hash are JSON, except name, seatUuid and runUse. Scripts that look at a
// holder compute its key; all keys share one hash tag.

/**
 * KEYS names, seats, all, unfinished, ids, training. ARGV name, seat uuid, key prefix of trainings, new id, order,
 * channel, then fields and values.
 */
export const ACCEPT = luaScript(`${LUA_CLOCK}
local known = redis.call('HGET', KEYS[1], ARGV[1])
if known then
  local it = redis.call('HMGET', ARGV[3] .. known, 'endedAt', 'seatUuid', 'order', 'endAckedAt')
  if it[1] == 'null' then
    if it[2] == ARGV[2] then return {'same', known} end
    return {'elsewhere', known}
  end
  if it[4] == 'null' and it[2] == ARGV[2] and it[3] == ARGV[5] then return {'same', known} end
end
local held = redis.call('HGET', KEYS[2], ARGV[2])
if held and redis.call('HGET', ARGV[3] .. held, 'endedAt') == 'null' then return {'busy', held} end
local at = stamp()
redis.call('HSET', KEYS[6], 'name', ARGV[1], 'seatUuid', ARGV[2], 'order', ARGV[5], 'createdAt', at, 'updatedAt', at,
  'runUse', 'excused', unpack(ARGV, 7))
redis.call('HSET', KEYS[1], ARGV[1], ARGV[4])
redis.call('HSET', KEYS[2], ARGV[2], ARGV[4])
redis.call('ZADD', KEYS[3], at, ARGV[4])
redis.call('ZADD', KEYS[4], at, ARGV[4])
redis.call('ZADD', KEYS[5], 0, ARGV[4])
redis.call('PUBLISH', ARGV[6], ARGV[4])
return {'accepted', ARGV[4], redis.call('HGETALL', KEYS[6])}`)

/** KEYS training. ARGV id, channel, host, pid. Answers the new run and the hash as it was before, or 'unknown' or 'ended'. */
export const BEGIN_RUN = luaScript(`${LUA_CLOCK}
local it = redis.call('HMGET', KEYS[1], 'endedAt', 'runUse', 'startedAt')
if not it[1] then return {'unknown'} end
if it[1] ~= 'null' then return {'ended'} end
local before = redis.call('HGETALL', KEYS[1])
if it[2] == 'none' then redis.call('HINCRBY', KEYS[1], 'fruitlessRuns', 1) end
if it[2] == 'useful' then redis.call('HSET', KEYS[1], 'fruitlessRuns', 0) end
local at = stamp()
if it[3] == 'null' then redis.call('HSET', KEYS[1], 'startedAt', at) end
redis.call('HSET', KEYS[1], 'runUse', 'none', 'hostId', ARGV[3], 'workerPid', ARGV[4], 'updatedAt', at)
local run = redis.call('HINCRBY', KEYS[1], 'run', 1)
redis.call('PUBLISH', ARGV[2], ARGV[1])
return {run, before}`)

const CHANGE = `${LUA_CLOCK}
local SEEN = {state = true, progress = true, errors = true, trainImageCount = true, testImageCount = true,
  skippedImageCount = true}
local function change(first)
  local it = redis.call('HMGET', KEYS[1], 'run', 'endedAt', 'runUse')
  if not it[2] then return 'unknown' end
  if ARGV[3] ~= '' then
    if tonumber(it[1]) < tonumber(ARGV[3]) then return it[1] end
    if it[1] ~= ARGV[3] or it[2] ~= 'null' then return 'superseded' end
  end
  local isSeen = false
  for at = first, #ARGV, 2 do
    if SEEN[ARGV[at]] and redis.call('HGET', KEYS[1], ARGV[at]) ~= ARGV[at + 1] then isSeen = true end
  end
  redis.call('HSET', KEYS[1], 'updatedAt', stamp(), unpack(ARGV, first))
  if ARGV[4] ~= '' and it[3] ~= 'useful' then redis.call('HSET', KEYS[1], 'runUse', ARGV[4]) end
  if isSeen then redis.call('PUBLISH', ARGV[2], ARGV[1]) end
  return 'ok'
end
`

/**
 * KEYS training. ARGV id, channel, run or '' (no fence), use of the run ('useful', 'excused' or ''), then fields and
 * values. An ended training takes nothing from a run any more; a record with a lower run answers that run. A run that was
 * useful stays so. Told is only what the Loop sees of a training, and only when it is another than before.
 */
export const UPDATE = luaScript(`${CHANGE}
return change(5)`)

/**
 * UPDATE, and what people see of the step's job. KEYS training, job, log of the job. ARGV as there, but before the
 * fields the job's progress or '', how many lines its log gets, and these.
 */
export const FINISH_STEP = luaScript(`${CHANGE}
local first = 7 + tonumber(ARGV[6])
local answer = change(first)
if answer ~= 'ok' or redis.call('EXISTS', KEYS[2]) == 0 then return answer end
if ARGV[5] ~= '' then redis.call('HSET', KEYS[2], 'progress', ARGV[5]) end
for at = 7, first - 1 do redis.call('RPUSH', KEYS[3], ARGV[at]) end
return answer`)

/**
 * KEYS training, unfinished, control, log. ARGV id, channel, run or '', seconds to keep the log, key prefix of the ends of
 * seats, then fields.
 */
export const FINISH = luaScript(`${LUA_CLOCK}
local it = redis.call('HMGET', KEYS[1], 'run', 'endedAt', 'seatUuid')
if not it[2] then return 'unknown' end
if ARGV[3] ~= '' and tonumber(it[1]) < tonumber(ARGV[3]) then return it[1] end
if ARGV[3] ~= '' and it[1] ~= ARGV[3] then return 'superseded' end
if it[2] ~= 'null' then return 'ended' end
local at = stamp()
redis.call('HSET', KEYS[1], 'endedAt', at, 'updatedAt', at, unpack(ARGV, 6))
redis.call('SADD', ARGV[5] .. it[3], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[3], ARGV[1])
redis.call('EXPIRE', KEYS[4], ARGV[4])
redis.call('PUBLISH', ARGV[2], ARGV[1])
return 'ok'`)

/** KEYS training, ends of its seat. ARGV id, when the training ended whose status the Loop has acknowledged. */
export const ACK_END = luaScript(`${LUA_CLOCK}
if redis.call('HGET', KEYS[1], 'endedAt') ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'endAckedAt', stamp())
return redis.call('SREM', KEYS[2], ARGV[1])`)

/**
 * KEYS training, names, seats, unfinished, log. ARGV id, channel, key prefix of trainings and of the ends of seats, then
 * fields and values. A failed training is unfinished again, unless its number was ordered again or its seat has had
 * another training since: the Loop counts what a seat sends for the newest training it has given to it.
 */
export const REOPEN = luaScript(`${LUA_CLOCK}
local it = redis.call('HMGET', KEYS[1], 'endedAt', 'outcome', 'seatUuid', 'name', 'createdAt')
if not it[1] then return {'unknown'} end
if it[1] == 'null' then return {'unfinished'} end
if it[2] ~= '"failed"' then return {'not-failed'} end
local newest = redis.call('HGET', KEYS[2], it[4])
if newest ~= ARGV[1] then return {'replaced', newest or ''} end
local held = redis.call('HGET', KEYS[3], it[3])
if held and redis.call('HGET', ARGV[3] .. held, 'endedAt') == 'null' then return {'busy', held} end
if held and held ~= ARGV[1] then return {'overtaken', held} end
redis.call('HSET', KEYS[1], 'endedAt', 'null', 'runUse', 'excused', 'updatedAt', stamp(), unpack(ARGV, 5))
redis.call('HSET', KEYS[3], it[3], ARGV[1])
redis.call('SREM', ARGV[4] .. it[3], ARGV[1])
redis.call('ZADD', KEYS[4], it[5], ARGV[1])
redis.call('PERSIST', KEYS[5])
redis.call('PUBLISH', ARGV[2], ARGV[1])
return {'ok'}`)
