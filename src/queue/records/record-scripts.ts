import { luaScript } from '../redis/index.js'
import { LUA_GUARD, LUA_RECORDS } from './lua-records.js'

// Every script has the base of all keys as its one key, and as its first argument how many changes are kept.
// A script whose answer was lost with the connection is sent again. So each answers its own repetition as it answered
// the first time, and does nothing then.

/** ARGV: id, kind, name, requirements, protocol, then fields and values. Returns 'created' or 'exists'. */
export const CREATE = luaScript(`${LUA_RECORDS}
local id, kind, name = ARGV[2], ARGV[3], ARGV[4]
if redis.call('EXISTS', recordKey(id)) == 1 then return 'exists' end
createRecord(id, kind, name, ARGV[5], ARGV[6], {unpack(ARGV, 7)})
return 'created'`)

/**
 * ARGV: id, version that the host has seen, host, incarnation, lease in ms, protocol. Returns 'claimed' with the run,
 * fruitless runs, why it waited, and the hash as it was before (as it is, if this life of the host has it already); or why not:
 * 'unknown', 'too-new' (protocol), 'taken', 'changed', 'settling' (ms).
 */
export const CLAIM = luaScript(`${LUA_RECORDS}${LUA_GUARD}
local id, leaseMs, protocol = ARGV[2], tonumber(ARGV[6]), tonumber(ARGV[7])
local t, settling = guard(leaseMs)
local it = redis.call('HMGET', recordKey(id), 'life', 'version', 'protocol', 'run', 'use', 'fruitlessRuns', 'startedAt',
  'incarnation')
if not it[1] then return {'unknown'} end
if tonumber(it[3]) > protocol then return {'too-new', tonumber(it[3])} end
if it[1] == 'ended' then return {'taken'} end
if it[1] == 'claimed' and it[8] == ARGV[5] then
  redis.call('ZADD', key('leases'), t + leaseMs, id)
  return {'claimed', tonumber(it[4]), tonumber(it[6]), whyOffered(id), redis.call('HGETALL', recordKey(id))}
end
local lease = redis.call('ZSCORE', key('leases'), id)
if it[1] == 'claimed' and lease and tonumber(lease) > t then return {'taken'} end
if it[2] ~= ARGV[3] then return {'changed'} end
if settling > 0 then return {'settling', settling} end
if it[1] == 'claimed' and not toWaiting(id, 'expired', {}) then return {'taken'} end
local before = redis.call('HGETALL', recordKey(id))
local fruitless = tonumber(it[6])
if it[5] == 'none' then fruitless = fruitless + 1 end
if it[5] == 'useful' then fruitless = 0 end
local run = tonumber(it[4]) + 1
local startedAt = it[7]
if startedAt == '' then startedAt = stamp() end
toClaimed(id, 'claimed', {run = run, host = ARGV[4], incarnation = ARGV[5], leaseMs = leaseMs},
  {'use', 'none', 'fruitlessRuns', fruitless, 'startedAt', startedAt, 'protocol', math.max(protocol, tonumber(it[3]))})
return {'claimed', run, fruitless, whyOffered(id), before}`)

/**
 * ARGV: id, run, incarnation, birth. Returns 'ok', or 'lost' or 'superseded' with the run that Redis has. An empty run asks
 * only whether there is a record.
 */
const FENCE = `
local id = ARGV[2]
local refused
if ARGV[3] ~= '' then refused = refuse(id, ARGV[3], ARGV[4], ARGV[5])
elseif redis.call('EXISTS', recordKey(id)) == 0 then refused = {'lost', ''} end
if refused then return refused end
`
export const CHECK = luaScript(`${LUA_RECORDS}${FENCE}return {'ok'}`)

/**
 * FENCE, then ARGV: mark, name of a failure, then fields and values. The mark says what the write is worth to its run: 'best'
 * (also forgets counted failures), 'useful', 'excused', 'failure' (counts one, unless the last one had this name) or ''.
 * What is the same as before is not written, and nobody is notified of it.
 */
export const UPDATE = luaScript(`${LUA_RECORDS}${FENCE}
local mark = ARGV[6]
local fields = {}
for at = 8, #ARGV, 2 do
  if redis.call('HGET', recordKey(id), ARGV[at]) ~= ARGV[at + 1] then
    table.insert(fields, ARGV[at])
    table.insert(fields, ARGV[at + 1])
  end
end
local it = redis.call('HMGET', recordKey(id), 'use', 'failures', 'kind', 'run', 'host', 'lastFailure')
local function set(field, value)
  table.insert(fields, field)
  table.insert(fields, value)
end
if (mark == 'best' or mark == 'useful') and it[1] ~= 'useful' then set('use', 'useful') end
if mark == 'excused' and it[1] == 'none' then set('use', 'excused') end
if mark == 'best' and it[2] ~= '0' then set('failures', 0) end
local isCounted = mark == 'failure' and it[6] ~= ARGV[7]
if isCounted then
  set('failures', tonumber(it[2]) + 1)
  set('lastFailure', ARGV[7])
  note(id, 'failure', it[4], it[5])
end
if #fields == 0 then return {'ok'} end
redis.call('HSET', recordKey(id), unpack(fields))
changed(id, it[3], isCounted and 'failure' or 'updated')
return {'ok'}`)

/** FENCE, then ARGV: outcome, then fields and values. Without a fence the record ends unless it has ended already. */
export const FINISH = luaScript(`${LUA_RECORDS}
local done = redis.call('HMGET', recordKey(ARGV[2]), 'life', 'run', 'incarnation', 'born', 'outcome')
local isOurs = done[2] == ARGV[3] and done[3] == ARGV[4] and done[4] == ARGV[5]
if done[1] == 'ended' and isOurs and done[5] == ARGV[6] then return {'ok'} end
${FENCE}
if redis.call('HGET', recordKey(id), 'life') == 'ended' then return {'ended'} end
toEnded(id, ARGV[6], {unpack(ARGV, 7)})
return {'ok'}`)

/**
 * ARGV: id, run, birth, host, outcome, then fields and values. A host has this end from Redis, so a record of that run or a lower
 * one that has not ended was written before Redis lost it: a retry would have raised the run. Returns 1 if it has ended the record.
 */
export const END_AGAIN = luaScript(`${LUA_RECORDS}
local id, run = ARGV[2], tonumber(ARGV[3])
local it = redis.call('HMGET', recordKey(id), 'life', 'run', 'born')
if not it[1] or it[3] ~= ARGV[4] or it[1] == 'ended' or tonumber(it[2]) > run then return 0 end
redis.call('HSET', recordKey(id), 'run', run, 'host', ARGV[5])
toEnded(id, ARGV[6], {unpack(ARGV, 7)})
return 1`)

const HAND_BACKS_PER_DAY = 20

/**
 * FENCE, then ARGV: 'excused', or '' when the run counts as it was, a pause in ms before hosts are offered it again, hosts that
 * leave it to others as JSON or '', for how many ms or '' without an end, '1' if the host hands back what it could not do, then
 * fields and values. The host gives the record back. One that was handed back too often within a day is offered to no host until
 * a person resumes it.
 */
export const RELEASE = luaScript(`${LUA_RECORDS}
local done = redis.call('HMGET', recordKey(ARGV[2]), 'life', 'run', 'incarnation', 'born')
if done[1] == 'waiting' and done[2] == ARGV[3] and done[3] == '' and done[4] == ARGV[5] then return {'ok'} end
${FENCE}
local use = redis.call('HGET', recordKey(id), 'use')
if ARGV[6] == 'excused' and use == 'none' then use = 'excused' end
local it = redis.call('HMGET', recordKey(id), 'kind', 'name', 'createdAt', 'handBacks')
local times = it[4] and it[4] ~= '' and cjson.decode(it[4]) or {}
local isHeld = false
if ARGV[10] == '1' then
  table.insert(times, now())
  while #times > ${HAND_BACKS_PER_DAY} do table.remove(times, 1) end
  redis.call('HSET', recordKey(id), 'handBacks', cjson.encode(times))
  isHeld = #times == ${HAND_BACKS_PER_DAY} and times[1] > now() - 86400000
end
local isWaiting = toWaiting(id, 'released', {'incarnation', '', 'use', use, unpack(ARGV, 11)}, tonumber(ARGV[7]))
if not isWaiting then return {'ok'} end
if isHeld then
  unlist(id, it[1], it[2])
  redis.call('HSET', recordKey(id), 'held', 'hand-backs')
  redis.call('ZADD', key('held:' .. it[1] .. ':' .. it[2]), it[3], id)
elseif ARGV[8] ~= '' then
  redis.call('HSET', recordKey(id), 'avoid', ARGV[8])
  if ARGV[9] ~= '' then redis.call('ZADD', key('avoided'), now() + ARGV[9], id) end
end
return {'ok'}`)

/** ARGV: id, a mark of this call. A person lets a record that is held be offered to hosts again. Returns 'ok', 'unknown' or 'not-held'. */
export const RESUME = luaScript(`${LUA_RECORDS}
local id = ARGV[2]
local it = redis.call('HMGET', recordKey(id), 'kind', 'name', 'createdAt', 'life', 'held', 'resuming')
if not it[1] then return 'unknown' end
if it[6] == ARGV[3] then return 'ok' end
if it[4] ~= 'waiting' or not it[5] then return 'not-held' end
unlist(id, it[1], it[2])
redis.call('HSET', recordKey(id), 'handBacks', '', 'resuming', ARGV[3])
redis.call('ZADD', key('waiting:' .. it[1] .. ':' .. it[2]), it[3], id)
note(id, 'reopened', redis.call('HGET', recordKey(id), 'run'), '')
changed(id, it[1], 'resumed')
return 'ok'`)

const LOST_INTENT_MS = 7 * 86_400_000

/** For a host that works on a record which Redis does not have, or has as it was before its claim: its renewal answers it. */
const KEEP_INTENT = `
local function keepIntent(id, wanted, by, mark)
  local earlier = redis.call('GET', key('intent:' .. id))
  if earlier and cjson.decode(earlier).kind == 'abort' then wanted = 'abort' end
  redis.call('SET', key('intent:' .. id), cjson.encode({kind = wanted, by = by, at = now(), mark = mark}), 'PX', ${LOST_INTENT_MS})
end
`

/**
 * ARGV: id, 'stop' or 'abort', by whom, version in which a waiting record may be ended by it, or '', mark of this call. Returns
 * 'asked', 'ended' (now), 'ended-before', 'changed' or 'unknown'. A further stop is passed on, since what it means depends on when
 * it comes.
 */
export const INTEND = luaScript(`${LUA_RECORDS}${KEEP_INTENT}
local id, wanted = ARGV[2], ARGV[3]
local it = redis.call('HMGET', recordKey(id), 'life', 'intent', 'kind', 'run', 'host', 'version', 'outcome')
if not it[1] then return 'unknown' end
if it[1] == 'ended' then
  local isRepetition = it[7] == 'aborted' and tonumber(it[6]) == (tonumber(ARGV[5]) or -1) + 1
  return isRepetition and 'ended' or 'ended-before'
end
if it[1] == 'waiting' and ARGV[5] ~= '' then
  if it[6] ~= ARGV[5] then return 'changed' end
  note(id, wanted, it[4], '')
  toEnded(id, 'aborted', {})
  keepIntent(id, 'abort', ARGV[4], ARGV[6]) -- Redis may have lost a claim of it
  return 'ended'
end
if it[2] ~= '' then
  local earlier = cjson.decode(it[2])
  if earlier.kind == 'abort' or earlier.mark == ARGV[6] then return 'asked' end
end
redis.call('HSET', recordKey(id), 'intent', cjson.encode({kind = wanted, by = ARGV[4], at = now(), mark = ARGV[6]}))
note(id, wanted, it[4], it[5])
changed(id, it[3], 'intent')
return 'asked'`)

/** ARGV: id, kind, 'stop' or 'abort', by whom, mark of this call. For a record that Redis has lost. */
export const INTEND_LOST = luaScript(`${LUA_RECORDS}${KEEP_INTENT}
keepIntent(ARGV[2], ARGV[4], ARGV[5], ARGV[6])
tell(ARGV[2], ARGV[3], 0, 'intent')
return 1`)

/**
 * ARGV: id, version that was seen, then fields and values. An ended record waits again. Returns 'ok', 'unknown', 'changed' or 'unfinished'.
 */
export const REOPEN = luaScript(`${LUA_RECORDS}
local id = ARGV[2]
local it = redis.call('HMGET', recordKey(id), 'life', 'version')
if not it[1] then return 'unknown' end
if it[1] == 'waiting' and tonumber(it[2]) == tonumber(ARGV[3]) + 1 and lastEvent(id) == 'reopened' then return 'ok' end
if it[1] ~= 'ended' then return 'unfinished' end
if it[2] ~= ARGV[3] then return 'changed' end
reopenRecord(id, {unpack(ARGV, 4)})
return 'ok'`)

/** FENCE; without a run the record must have ended. Returns 'ok', 'lost', 'superseded' or 'unfinished'. */
export const REMOVE = luaScript(`${LUA_RECORDS}${FENCE}
local it = redis.call('HMGET', recordKey(id), 'kind', 'life')
if ARGV[3] == '' and it[2] ~= 'ended' then return {'unfinished'} end
if it[2] ~= 'ended' then toEnded(id, '', {}) end
removeRecord(id, it[1])
return {'ok'}`)

/**
 * ARGV: kind, how many ended ones to keep, their greatest age in ms or '', how many to remove in one call, outcome of those that
 * it is about or ''. Returns the ids.
 */
export const TRIM = luaScript(`${LUA_RECORDS}
local kind, keep, limit = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[5])
local ended = key('ended:' .. kind .. (ARGV[6] == '' and '' or ':' .. ARGV[6]))
local surplus = redis.call('ZCARD', ended) - keep
local removed = {}
local oldest = redis.call('ZRANGE', ended, 0, limit - 1, 'WITHSCORES')
for at = 1, #oldest, 2 do
  local isOld = ARGV[4] ~= '' and tonumber(oldest[at + 1]) < now() - tonumber(ARGV[4])
  if #removed < surplus or isOld then
    removeRecord(oldest[at], kind)
    table.insert(removed, oldest[at])
  end
end
return removed`)
