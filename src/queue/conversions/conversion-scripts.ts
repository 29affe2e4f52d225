import { LUA_RECORDS } from '../records/lua-records.js'
import { luaScript } from '../redis/index.js'

/**
 * One conversion per model and format: the rule and the record in one step. KEYS[1] is the base of all record keys. ARGV: how
 * many changes are kept, id, converter, requirements, protocol, definition as JSON, when the Loop was read, first and longest wait
 * (ms) before a format is made again that the Loop accepted and lacks, then fields and values of a new record. Returns
 * 'planned', 'again', or the state that it has and keeps. A repetition of the script answers 'waiting'.
 */
export const PLAN = luaScript(`${LUA_RECORDS}
local id, protocol, definition = ARGV[2], tonumber(ARGV[5]), ARGV[6]
local it = redis.call('HMGET', recordKey(id), 'life', 'outcome', 'protocol', 'endedAt', 'data:definition', 'data:repeats')
if not it[1] then
  createRecord(id, 'conversion', ARGV[3], ARGV[4], protocol, {unpack(ARGV, 10)})
  return 'planned'
end
if it[1] == 'waiting' then return 'waiting' end
if it[1] == 'claimed' then return 'running' end
local isConverted = it[2] == 'converted'
local isSameDefinition = it[5] == definition
local function again(repeats)
  reopenRecord(id, {'data:definition', definition, 'data:repeats', repeats, 'data:failure', 'null', 'data:delays', 0,
    'data:isUploading', 'false', 'data:warnings', '[]', 'data:failedAttempts', '[]', 'protocol', math.max(protocol, tonumber(it[3]))})
  return 'again'
end
-- A newer build has written it, and knows what else belongs to it.
if tonumber(it[3]) > protocol then return isConverted and 'converted' or 'failed' end
if not isConverted then return isSameDefinition and 'failed' or again(it[6]) end
if tonumber(it[4]) >= tonumber(ARGV[7]) then return 'converted' end
local repeats = tonumber(it[6])
local pause = repeats == 0 and 0 or math.min(tonumber(ARGV[9]), tonumber(ARGV[8]) * 2 ^ (repeats - 1))
if now() - tonumber(it[4]) < pause then return 'converted' end
return again(repeats + 1)`)
