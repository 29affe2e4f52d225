import { LUA_CLOCK } from '../redis/index.js'

/** How many changes the stream keeps: minutes of a busy fleet. */
export const KEPT_CHANGES = 10_000
/** How many lines of history a record keeps. */
const KEPT_HISTORY = 50
/** How long the log of a record is kept after its end. */
export const KEPT_LOG_S = 7 * 86_400

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

-- Why hosts were offered it last.
local function whyOffered(id)
  for at = -1, -${KEPT_HISTORY}, -1 do
    local line = redis.call('LINDEX', key('history:' .. id), at)
    if not line then break end
    local what = cjson.decode(line).what
    for _, offer in ipairs({'created', 'expired', 'released', 'taken-back', 'reopened'}) do
      if what == offer then return what end
    end
  end
  return 'created'
end

-- From now on no host is asked to leave it to others.
local function forgetAvoided(id)
  redis.call('ZREM', key('avoided'), id)
  redis.call('HDEL', recordKey(id), 'avoid')
end

-- Out of what hosts are offered.
local function unlist(id, kind, name)
  for _, list in ipairs({'waiting:', 'paused:', 'held:'}) do
    redis.call('ZREM', key(list .. kind .. ':' .. name), id)
  end
  redis.call('HDEL', recordKey(id), 'held')
  forgetAvoided(id)
end

-- A stop stays in the record: what was stopped has ended well, but earlier than it would have by itself.
local function toEnded(id, outcome, fields)
  local it = redis.call('HMGET', recordKey(id), 'kind', 'name', 'run', 'host', 'intent')
  local at = stamp()
  local intent = it[5]
  if intent ~= '' and cjson.decode(intent).kind ~= 'stop' then intent = '' end
  redis.call('HSET', recordKey(id), 'life', 'ended', 'endedAt', at, 'intent', intent, 'outcome', outcome, unpack(fields))
  redis.call('ZREM', key('leases'), id)
  unlist(id, it[1], it[2])
  redis.call('ZREM', key('open:' .. it[1]), id)
  redis.call('ZADD', key('ended:' .. it[1]), at, id)
  redis.call('ZADD', key('ended:' .. it[1] .. ':' .. outcome), at, id)
  redis.call('EXPIRE', key('log:' .. id), ${KEPT_LOG_S})
  note(id, 'ended', it[3], it[4])
  return changed(id, it[1], 'ended')
end

-- With a pause it is offered to hosts only after that. One that somebody has aborted ends instead: no host has it, and the next one
-- may have a place for it only hours later. Answers nothing then.
local function toWaiting(id, what, fields, pauseMs)
  local it = redis.call('HMGET', recordKey(id), 'kind', 'name', 'createdAt', 'run', 'host', 'intent', 'life')
  redis.call('ZREM', key('leases'), id)
  if not it[1] then return end
  if it[7] == 'claimed' and it[6] ~= '' and cjson.decode(it[6]).kind == 'abort' then
    note(id, what, it[4], it[5])
    toEnded(id, 'aborted', fields)
    return
  end
  redis.call('HSET', recordKey(id), 'life', 'waiting', unpack(fields))
  if pauseMs and pauseMs > 0 then
    redis.call('ZADD', key('paused:' .. it[1] .. ':' .. it[2]), now() + pauseMs, id)
  else
    redis.call('ZADD', key('waiting:' .. it[1] .. ':' .. it[2]), it[3], id)
  end
  note(id, what, it[4], it[5])
  return changed(id, it[1], what)
end

local function toClaimed(id, what, claim, fields)
  local it = redis.call('HMGET', recordKey(id), 'kind', 'name')
  redis.call('HSET', recordKey(id), 'life', 'claimed', 'run', claim.run, 'host', claim.host,
    'incarnation', claim.incarnation, 'leaseMs', claim.leaseMs, unpack(fields))
  unlist(id, it[1], it[2])
  redis.call('ZADD', key('leases'), now() + claim.leaseMs, id)
  note(id, what, claim.run, claim.host)
  return changed(id, it[1], what)
end

-- The id must be free.
local function createRecord(id, kind, name, requires, protocol, fields)
  local at = stamp()
  local born = at .. '-' .. (redis.call('GET', key('change-count')) or '0')
  redis.call('HSET', recordKey(id), 'id', id, 'born', born, 'kind', kind, 'name', name, 'requires', requires,
    'protocol', protocol, 'version', 0, 'run', 0, 'host', '', 'incarnation', '', 'leaseMs', '', 'intent', '', 'outcome', '',
    'use', 'excused', 'fruitlessRuns', 0, 'failures', 0, 'lastFailure', '', 'createdAt', at, 'startedAt', '', 'endedAt', '',
    unpack(fields))
  redis.call('ZADD', key('all:' .. kind), at, id)
  redis.call('ZADD', key('open:' .. kind), at, id)
  redis.call('ZADD', key('ids:' .. kind), 0, id)
  redis.call('SADD', key('names'), kind .. ':' .. name)
  toWaiting(id, 'created', {})
end

-- An ended record waits again; the run goes up, so that nothing of before may write.
local function reopenRecord(id, fields)
  local it = redis.call('HMGET', recordKey(id), 'kind', 'createdAt', 'outcome')
  redis.call('HINCRBY', recordKey(id), 'run', 1)
  redis.call('DEL', key('intent:' .. id))
  redis.call('PERSIST', key('log:' .. id))
  redis.call('ZREM', key('ended:' .. it[1]), id)
  redis.call('ZREM', key('ended:' .. it[1] .. ':' .. it[3]), id)
  redis.call('ZADD', key('open:' .. it[1]), it[2], id)
  return toWaiting(id, 'reopened', {'incarnation', '', 'intent', '', 'outcome', '', 'endedAt', '', 'use', 'excused',
    'fruitlessRuns', 0, 'failures', 0, 'lastFailure', '', 'handBacks', '', unpack(fields)})
end

-- Removes an ended record from everywhere.
local function removeRecord(id, kind)
  tell(id, kind, redis.call('HINCRBY', recordKey(id), 'version', 1), 'removed')
  local outcome = redis.call('HGET', recordKey(id), 'outcome')
  redis.call('DEL', recordKey(id), key('history:' .. id), key('log:' .. id), key('curve:' .. id), key('intent:' .. id))
  for _, index in ipairs({'all:' .. kind, 'open:' .. kind, 'ids:' .. kind, 'ended:' .. kind, 'ended:' .. kind .. ':' .. outcome}) do
    redis.call('ZREM', key(index), id)
  end
end

-- Whether this claim may write: nothing, or the reason why not and the run that Redis has. A record that was removed
-- and made again under its id starts again at run 0, so a claim names the birth of its record. As long as nobody has
-- claimed that one, the older claim is lost, not superseded: there is no newer run.
local function refuse(id, run, incarnation, born)
  local it = redis.call('HMGET', recordKey(id), 'life', 'run', 'incarnation', 'born')
  if not it[1] then return {'lost', ''} end
  if it[4] ~= born then return {it[2] == '0' and 'lost' or 'superseded', it[2]} end
  local found = tonumber(it[2])
  if found < tonumber(run) then return {'lost', it[2]} end
  if found > tonumber(run) or it[1] == 'ended' or it[3] ~= incarnation then return {'superseded', it[2]} end
end
`

/**
 * The one judge of time. \`guard(leaseMs)\` reads Redis TIME and the server's run id, and compares them with what the
 * last call has stored. If the time went back, or ahead by more than half a lease, or the server is another one, time
 * is no evidence against an owner: every lease becomes the time plus its length, and every pause ends. After a restart nothing is claimed
 * until every host that was there has renewed, for one lease at most. Returns the time, how long claims wait, the epoch
 * (how many servers there have been), and why leases were granted again or ''.
 *
 * Without a lease it is called by an observer: a part that is no host. Observers may come seldom, so a gap between their calls says
 * nothing. The first one grants every lease again; at the next one no host has renewed since (it would have ended the silence), and what has
 * run out meanwhile has run out.
 */
export const LUA_GUARD = `
local function guard(ownLeaseMs)
  local t = now()
  local info = redis.pcall('INFO', 'server')
  local server = type(info) == 'string' and string.match(info, 'run_id:(%x+)') or ''
  local seen = redis.call('HMGET', key('clock'), 'time', 'server', 'epoch', 'settleUntil', 'silentSince', 'leaseMs')
  local leaseMs = ownLeaseMs or tonumber(seen[6] or '30000')
  local last = tonumber(seen[1] or '')
  local epoch = tonumber(seen[3] or '0')
  local settleUntil = tonumber(seen[4] or '0')
  local silentSince = ownLeaseMs and 0 or tonumber(seen[5] or '0')
  local reason = ''
  if last == nil or t < last or (silentSince == 0 and t - last > leaseMs / 2) then reason = 'time' end
  if seen[2] ~= server then
    reason = 'server'
    epoch = epoch + 1
  end
  local held = redis.call('ZCARD', key('leases'))
  if reason ~= '' then
    for _, id in ipairs(redis.call('ZRANGE', key('leases'), 0, -1)) do
      local own = tonumber(redis.call('HGET', recordKey(id), 'leaseMs') or leaseMs)
      redis.call('ZADD', key('leases'), t + own, id)
    end
    for _, name in ipairs(redis.call('SMEMBERS', key('names'))) do
      for _, id in ipairs(redis.call('ZRANGE', key('paused:' .. name), 0, -1)) do
        redis.call('ZADD', key('paused:' .. name), t, id)
      end
    end
    for _, id in ipairs(redis.call('ZRANGE', key('avoided'), 0, -1)) do
      redis.call('ZADD', key('avoided'), t, id)
    end
    if reason == 'server' or settleUntil > 0 then settleUntil = t + leaseMs end
    if not ownLeaseMs then silentSince = t end
  end
  if settleUntil > 0 then
    local missing = redis.call('ZCOUNT', key('hosts'), '-inf', '(' .. epoch)
    if settleUntil <= t then redis.call('ZREMRANGEBYSCORE', key('hosts'), '-inf', '(' .. epoch) end
    if missing == 0 or settleUntil <= t then settleUntil = 0 end
  end
  redis.call('HSET', key('clock'), 'time', string.format('%.0f', t), 'server', server, 'epoch', epoch,
    'settleUntil', string.format('%.0f', settleUntil), 'silentSince', string.format('%.0f', silentSince), 'leaseMs', leaseMs)
  if last == nil then reason = '' end -- there was no server before
  if reason == 'time' and held == 0 then reason = '' end -- a fleet that was off, and had nothing: no jump is known
  return t, math.max(0, settleUntil - t), epoch, reason
end
`
