import { LUA_CLOCK } from '../lua-script.js'

/** How many changes the stream keeps: minutes of a busy fleet. */
export const KEPT_CHANGES = 10_000
/** How many lines of history a record keeps. */
export const KEPT_HISTORY = 50

/**
 * What every script on records begins with. KEYS[1] is the base of all keys, ARGV[1] how many changes the stream keeps.
 * A record changes its life by `toWaiting`, `toClaimed` and `toEnded` only, which keep the indexes true, and each
 * write ends with `changed`.
 */
export const LUA_RECORDS = `${LUA_CLOCK}
local function key(name) return KEYS[1] .. ':' .. name end
local function recordKey(id) return KEYS[1] .. ':record:' .. id end

local function tell(id, kind, version, what)
  local n = redis.call('INCR', key('change-count'))
  redis.call('XADD', key('changes'), 'MAXLEN', '~', ARGV[1], '*',
    'n', n, 'id', id, 'kind', kind, 'version', version, 'what', what)
end

local function changed(id, kind, what)
  local version = redis.call('HINCRBY', recordKey(id), 'version', 1)
  redis.call('HSET', recordKey(id), 'updatedAt', stamp())
  tell(id, kind, version, what)
  return version
end

local function note(id, what, run, host)
  local line = {at = now(), what = what, run = tonumber(run), host = cjson.null}
  if host and host ~= '' then line.host = host end
  redis.call('RPUSH', key('history:' .. id), cjson.encode(line))
  redis.call('LTRIM', key('history:' .. id), -${KEPT_HISTORY}, -1)
end

local function lastEvent(id)
  return cjson.decode(redis.call('LINDEX', key('history:' .. id), -1) or '{}').what
end

local function toWaiting(id, what, fields)
  local it = redis.call('HMGET', recordKey(id), 'kind', 'name', 'createdAt', 'run', 'host')
  redis.call('ZREM', key('leases'), id)
  if not it[1] then return end
  redis.call('HSET', recordKey(id), 'life', 'waiting', unpack(fields))
  redis.call('ZADD', key('waiting:' .. it[1] .. ':' .. it[2]), it[3], id)
  note(id, what, it[4], it[5])
  return changed(id, it[1], what)
end

local function toClaimed(id, what, claim, fields)
  local it = redis.call('HMGET', recordKey(id), 'kind', 'name')
  redis.call('HSET', recordKey(id), 'life', 'claimed', 'run', claim.run, 'host', claim.host,
    'incarnation', claim.incarnation, 'leaseMs', claim.leaseMs, unpack(fields))
  redis.call('ZREM', key('waiting:' .. it[1] .. ':' .. it[2]), id)
  redis.call('ZADD', key('leases'), now() + claim.leaseMs, id)
  note(id, what, claim.run, claim.host)
  return changed(id, it[1], what)
end

local function toEnded(id, fields)
  local it = redis.call('HMGET', recordKey(id), 'kind', 'name', 'run', 'host')
  local at = stamp()
  redis.call('HSET', recordKey(id), 'life', 'ended', 'endedAt', at, 'intent', '', unpack(fields))
  redis.call('ZREM', key('leases'), id)
  redis.call('ZREM', key('waiting:' .. it[1] .. ':' .. it[2]), id)
  redis.call('ZREM', key('open:' .. it[1]), id)
  redis.call('ZADD', key('ended:' .. it[1]), at, id)
  note(id, 'ended', it[3], it[4])
  return changed(id, it[1], 'ended')
end

-- Removes an ended record from everywhere.
local function removeRecord(id, kind)
  tell(id, kind, redis.call('HINCRBY', recordKey(id), 'version', 1), 'removed')
  redis.call('DEL', recordKey(id), key('history:' .. id))
  for _, index in ipairs({'all:', 'open:', 'ended:', 'ids:'}) do redis.call('ZREM', key(index .. kind), id) end
end

-- Whether this claim may write: nothing, or the reason why not and the run that Redis has. A record that was removed
-- and made again under its id starts again at run 0, so a claim names the birth of its record.
local function refuse(id, run, incarnation, born)
  local it = redis.call('HMGET', recordKey(id), 'life', 'run', 'incarnation', 'born')
  if not it[1] then return {'lost', ''} end
  if it[4] ~= born then return {'superseded', it[2]} end
  local found = tonumber(it[2])
  if found < tonumber(run) then return {'lost', it[2]} end
  if found > tonumber(run) or it[1] == 'ended' or it[3] ~= incarnation then return {'superseded', it[2]} end
end
`

/**
 * The one judge of time. \`guard(leaseMs)\` reads Redis TIME and the server's run id, and compares them with what the
 * last call has stored. If the time went back, or ahead by more than half a lease, or the server is another one, time
 * is no evidence against an owner: every lease becomes the time plus its length. After a restart nothing is claimed
 * until every host that was there has renewed, for one lease at most. Answers the time, how long claims wait, the epoch
 * (how many servers there have been), and why leases were granted again or ''.
 */
export const LUA_GUARD = `
local function guard(leaseMs)
  local t = now()
  local info = redis.pcall('INFO', 'server')
  local server = type(info) == 'string' and string.match(info, 'run_id:(%x+)') or ''
  local seen = redis.call('HMGET', key('clock'), 'time', 'server', 'epoch', 'settleUntil')
  local last = tonumber(seen[1] or '')
  local epoch = tonumber(seen[3] or '0')
  local settleUntil = tonumber(seen[4] or '0')
  local reason = ''
  if last == nil or t < last or t - last > leaseMs / 2 then reason = 'time' end
  if seen[2] ~= server then
    reason = 'server'
    epoch = epoch + 1
  end
  if reason ~= '' then
    for _, id in ipairs(redis.call('ZRANGE', key('leases'), 0, -1)) do
      local own = tonumber(redis.call('HGET', recordKey(id), 'leaseMs') or leaseMs)
      redis.call('ZADD', key('leases'), t + own, id)
    end
    if reason == 'server' or settleUntil > 0 then settleUntil = t + leaseMs end
  end
  if settleUntil > 0 then
    local missing = redis.call('ZCOUNT', key('hosts'), '-inf', '(' .. epoch)
    if settleUntil <= t then redis.call('ZREMRANGEBYSCORE', key('hosts'), '-inf', '(' .. epoch) end
    if missing == 0 or settleUntil <= t then settleUntil = 0 end
  end
  redis.call('HSET', key('clock'), 'time', string.format('%.0f', t), 'server', server, 'epoch', epoch,
    'settleUntil', string.format('%.0f', settleUntil))
  return t, math.max(0, settleUntil - t), epoch, reason
end
`
