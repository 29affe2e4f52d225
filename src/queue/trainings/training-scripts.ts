import { LUA_RECORDS } from '../records/lua-records.js'
import { luaScript } from '../redis/index.js'

// The rules of seats and of repeated orders, each with the record in one step. KEYS[1] is the base of all record keys, ARGV[1]
// how many changes are kept. A script that is sent again because its answer was lost answers as the first time.

export const LUA_SEATS = `
local names, seats = key('training-names'), key('seat-trainings')
local function unacked(seat) return key('seat-unacked:' .. seat) end
local function isUnfinished(id)
  local life = redis.call('HGET', recordKey(id), 'life')
  return life and life ~= 'ended'
end
`

/**
 * ARGV: new id, name, seat uuid, trainer, requirements, protocol, order as JSON, then fields and values of a new record. Returns
 * 'accepted' with the hash, or 'same', 'elsewhere' or 'busy', and the id of the training that decides it.
 */
export const ACCEPT = luaScript(`${LUA_RECORDS}${LUA_SEATS}
local id, name, seat, order = ARGV[2], ARGV[3], ARGV[4], ARGV[8]
if redis.call('EXISTS', recordKey(id)) == 1 then return {'accepted', id, redis.call('HGETALL', recordKey(id))} end
local known = redis.call('HGET', names, name)
if known then
  local it = redis.call('HMGET', recordKey(known), 'life', 'data:seat', 'data:order', 'data:endAckedAt')
  local isHere = it[2] and cjson.decode(it[2]).uuid == seat
  if it[1] and it[1] ~= 'ended' then return {isHere and 'same' or 'elsewhere', known} end
  if isHere and it[3] == order and it[4] == 'null' then return {'same', known} end
end
local held = redis.call('HGET', seats, seat)
if held and isUnfinished(held) then return {'busy', held} end
createRecord(id, 'training', ARGV[5], ARGV[6], ARGV[7], {'data:order', order, unpack(ARGV, 9)})
redis.call('HSET', names, name, id)
redis.call('HSET', seats, seat, id)
redis.call('SADD', unacked(seat), id)
return {'accepted', id, redis.call('HGETALL', recordKey(id))}`)

/** ARGV: id, seat uuid, when the training ended whose status the Loop has acknowledged. */
export const ACK_END = luaScript(`${LUA_RECORDS}${LUA_SEATS}
local id = ARGV[2]
local it = redis.call('HMGET', recordKey(id), 'endedAt', 'data:endAckedAt')
if it[1] ~= ARGV[4] then return 0 end
redis.call('SREM', unacked(ARGV[3]), id)
if it[2] ~= 'null' then return 0 end
redis.call('HSET', recordKey(id), 'data:endAckedAt', stamp())
changed(id, 'training', 'updated')
return 1`)

/**
 * ARGV: id, name, seat uuid, a mark of this call, then fields and values. A failed training waits again, unless its number was
 * ordered again or its seat has had another training since: the Loop counts what a seat sends for the newest training it has
 * given to it. Returns 'ok', or why not and the id of the training that is in the way.
 */
export const REOPEN = luaScript(`${LUA_RECORDS}${LUA_SEATS}
local id, name, seat, mark = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local it = redis.call('HMGET', recordKey(id), 'life', 'outcome', 'reopening')
if not it[1] then return {'unknown'} end
if it[3] == mark then return {'ok'} end
if it[1] ~= 'ended' then return {'unfinished'} end
if it[2] ~= 'failed' then return {'not-failed'} end
local newest = redis.call('HGET', names, name)
if newest and newest ~= id then return {'replaced', newest} end
local held = redis.call('HGET', seats, seat)
if held and held ~= id then
  if isUnfinished(held) then return {'busy', held} end
  return {'overtaken', held}
end
reopenRecord(id, {'reopening', mark, unpack(ARGV, 6)})
redis.call('HSET', names, name, id)
redis.call('HSET', seats, seat, id)
redis.call('SADD', unacked(seat), id)
return {'ok'}`)
