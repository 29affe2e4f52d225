import { luaScript } from '../redis/index.js'
import { LUA_GUARD, LUA_RECORDS } from './lua-records.js'

/**
 * ARGV: host, incarnation, lease in ms, protocol, then id, run and birth of each record that the host works on. Returns why leases
 * were granted again or '', and for each record what became of it with its intent.
 *
 * A record of a lower run that has not ended was written before Redis lost its newest writes: only Redis gives out
 * runs, so the host's higher one is the newer truth, and its claim is restored. One that has expired and that nobody
 * has claimed since is regained under the same run.
 */
export const RENEW = luaScript(`${LUA_RECORDS}${LUA_GUARD}
local host, incarnation, leaseMs, protocol = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local t, _, epoch, reason = guard(leaseMs)
redis.call('ZADD', key('hosts'), epoch, host)

-- Somebody may want a record to end that Redis does not have.
local function lost(id)
  return 'lost', redis.call('GET', key('intent:' .. id)) or ''
end

local function renew(id, run, born)
  local it = redis.call('HMGET', recordKey(id), 'life', 'run', 'incarnation', 'intent', 'protocol', 'leaseMs', 'born')
  if not it[1] then return lost(id) end
  local found = tonumber(it[2])
  if it[7] ~= born then
    if found == 0 then return lost(id) end
    return 'superseded', ''
  end
  if found > run then return 'superseded', '' end
  if it[1] == 'ended' then
    if found < run then return lost(id) end
    return 'ended', ''
  end
  local outcome = 'held'
  if found < run then outcome = 'restored'
  elseif it[3] ~= incarnation then return 'superseded', ''
  elseif it[1] == 'waiting' then outcome = 'regained' end
  if outcome == 'held' then
    redis.call('ZADD', key('leases'), t + leaseMs, id)
    if it[6] ~= ARGV[4] then redis.call('HSET', recordKey(id), 'leaseMs', leaseMs) end
  else
    toClaimed(id, outcome, {run = run, host = host, incarnation = incarnation, leaseMs = leaseMs},
      {'protocol', math.max(protocol, tonumber(it[5]))})
  end
  return outcome, it[4]
end

local answers = {}
for at = 6, #ARGV, 3 do
  local outcome, intent = renew(ARGV[at], tonumber(ARGV[at + 1]), ARGV[at + 2])
  table.insert(answers, {ARGV[at], outcome, intent})
end
return {reason, answers}`)

/**
 * ARGV: lease in ms, or '' from an observer, which finds nothing where no host has ever been; how many at most. Returns the ids that wait again, and why leases were granted again or ''. Records whose
 * pause is over are offered to hosts again, and those that a host has left to others for long enough to that host, too.
 */
export const RETURN_EXPIRED = luaScript(`${LUA_RECORDS}${LUA_GUARD}
if ARGV[2] == '' and redis.call('EXISTS', key('clock')) == 0 then return {'', {}} end
local t, _, _, reason = guard(tonumber(ARGV[2]))
local returned = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', key('leases'), '-inf', string.format('%.0f', t), 'LIMIT', 0, ARGV[3])) do
  if toWaiting(id, 'expired', {}) then table.insert(returned, id) end
end
for _, name in ipairs(redis.call('SMEMBERS', key('names'))) do
  local paused = key('paused:' .. name)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', paused, '-inf', string.format('%.0f', t), 'LIMIT', 0, ARGV[3])) do
    local it = redis.call('HMGET', recordKey(id), 'kind', 'createdAt')
    redis.call('ZREM', paused, id)
    redis.call('ZADD', key('waiting:' .. name), it[2], id)
    changed(id, it[1], 'resumed')
  end
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', key('avoided'), '-inf', string.format('%.0f', t), 'LIMIT', 0, ARGV[3])) do
  forgetAvoided(id)
  changed(id, redis.call('HGET', recordKey(id), 'kind'), 'resumed')
end
return {reason, returned}`)

/**
 * ARGV: host, incarnation. What earlier lives of this host have claimed waits again, without waiting for its lease. Returns
 * the ids.
 */
export const TAKE_BACK = luaScript(`${LUA_RECORDS}
local back = {}
for _, id in ipairs(redis.call('ZRANGE', key('leases'), 0, -1)) do
  local it = redis.call('HMGET', recordKey(id), 'host', 'incarnation')
  if it[1] == ARGV[2] and it[2] ~= ARGV[3] then
    if toWaiting(id, 'taken-back', {'incarnation', ''}) then table.insert(back, id) end
  end
end
return back`)

/** ARGV: host. It is not waited for after a restart of Redis. */
export const LEAVE = luaScript(`${LUA_RECORDS}
return redis.call('ZREM', key('hosts'), ARGV[2])`)
