import { LUA_CLOCK, luaScript } from './lua-script.js'

// Values in a conversion's hash are JSON. Ended ones that went well are kept up to a number; failed ones stay
// until they are converted or their model is gone.

/**
 * KEYS conversion, all, failed, converted. ARGV id, channel, definition, when the Loop was looked at, first and longest
 * wait (ms) before a format is made again that the Loop took and lacks, then fields and values. Answers what became
 * of it: planned, again, or the state it keeps.
 */
export const PLAN = luaScript(`${LUA_CLOCK}
local at = stamp()
local it = redis.call('HMGET', KEYS[1], 'state', 'definition', 'endedAt', 'repeats')
local function wait(fields)
  redis.call('HSET', KEYS[1], 'state', '"waiting"', 'definition', ARGV[3], 'endedAt', 'null', 'failure', 'null',
    'deaths', '0', 'updatedAt', at, unpack(fields))
  redis.call('ZADD', KEYS[2], at, ARGV[1])
  redis.call('ZREM', KEYS[3], ARGV[1])
  redis.call('ZREM', KEYS[4], ARGV[1])
  redis.call('PUBLISH', ARGV[2], ARGV[1])
end
if not it[1] then
  local fields = {'createdAt', at}
  for index = 7, #ARGV do table.insert(fields, ARGV[index]) end
  wait(fields)
  return 'planned'
end
if it[1] == '"failed"' and it[2] ~= ARGV[3] then
  wait({})
  return 'again'
end
if it[1] ~= '"converted"' or tonumber(it[3]) >= tonumber(ARGV[4]) then return cjson.decode(it[1]) end
local repeats = tonumber(it[4])
if repeats > 0 then
  local pause = math.min(tonumber(ARGV[6]), tonumber(ARGV[5]) * 2 ^ (repeats - 1))
  if now() - tonumber(it[3]) < pause then return 'converted' end
end
wait({'repeats', repeats + 1})
return 'again'`)

/** KEYS conversion. ARGV id, channel, host. Answers deaths before and the whole hash, 'unknown' or 'ended'. */
export const BEGIN = luaScript(`${LUA_CLOCK}
local it = redis.call('HMGET', KEYS[1], 'state', 'deaths')
if not it[1] then return 'unknown' end
if it[1] ~= '"waiting"' and it[1] ~= '"running"' then return 'ended' end
redis.call('HINCRBY', KEYS[1], 'run', 1)
redis.call('HINCRBY', KEYS[1], 'deaths', 1)
redis.call('HSET', KEYS[1], 'state', '"running"', 'hostId', ARGV[3], 'updatedAt', stamp())
redis.call('PUBLISH', ARGV[2], ARGV[1])
return {tonumber(it[2]), redis.call('HGETALL', KEYS[1])}`)

/**
 * KEYS conversion, failed, converted, log, all. ARGV id, channel, run, seconds to keep the log of one that went well,
 * how many of those are kept, key prefix of conversions and of logs, state, then fields and values. Fenced by the run.
 */
export const SETTLE = luaScript(`${LUA_CLOCK}
local it = redis.call('HMGET', KEYS[1], 'state', 'run')
if not it[1] then return 'unknown' end
if tonumber(it[2]) < tonumber(ARGV[3]) then return 'unknown' end
if it[2] ~= ARGV[3] or it[1] ~= '"running"' then return 'superseded' end
local at = stamp()
local state = ARGV[8]
redis.call('HSET', KEYS[1], 'state', '"' .. state .. '"', 'updatedAt', at, 'deaths', '0', unpack(ARGV, 9))
if state ~= 'waiting' then redis.call('HSET', KEYS[1], 'endedAt', at) end
if state == 'failed' then redis.call('ZADD', KEYS[2], at, ARGV[1]) end
if state == 'converted' then
  redis.call('EXPIRE', KEYS[4], ARGV[4])
  redis.call('ZADD', KEYS[3], at, ARGV[1])
  while redis.call('ZCARD', KEYS[3]) > tonumber(ARGV[5]) do
    local oldest = redis.call('ZPOPMIN', KEYS[3])[1]
    redis.call('ZREM', KEYS[5], oldest)
    redis.call('DEL', ARGV[6] .. oldest, ARGV[7] .. oldest)
  end
end
redis.call('PUBLISH', ARGV[2], ARGV[1])
return 'ok'`)

/** KEYS conversion, all, failed, converted, log. ARGV id, channel, run. The model is gone: nothing is left to tell. */
export const FORGET = luaScript(`
local run = tonumber(redis.call('HGET', KEYS[1], 'run') or '-1')
if run < tonumber(ARGV[3]) then return 'unknown' end
if run > tonumber(ARGV[3]) then return 'superseded' end
redis.call('DEL', KEYS[1], KEYS[5])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('PUBLISH', ARGV[2], ARGV[1])
return 'ok'`)

/** KEYS conversion, failed. ARGV id, channel. Answers 'ok', 'unknown' or the state that cannot be retried. */
export const RETRY = luaScript(`${LUA_CLOCK}
local state = redis.call('HGET', KEYS[1], 'state')
if not state then return 'unknown' end
if state ~= '"failed"' then return cjson.decode(state) end
redis.call('HSET', KEYS[1], 'state', '"waiting"', 'endedAt', 'null', 'deaths', '0', 'updatedAt', stamp())
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('PUBLISH', ARGV[2], ARGV[1])
return 'ok'`)
