import { z } from 'zod'
import type { Logger } from '../../base/logger/index.js'
import { workKinds } from '../jobs/names.js'
import type { Queues } from '../jobs/queues.js'
import { raiseRedisReader } from '../records/least-reader.js'
import { KEPT_CHANGES, LUA_RECORDS } from '../records/lua-records.js'
import { PROTOCOL } from '../records/protocol.js'
import { checkRecordId, checkRecordName, recordKeys } from '../records/record-keys.js'
import { intentKinds } from '../records/record-schema.js'
import { luaScript, type RedisLink } from '../redis/index.js'
import { ANY_HOST } from './training-orders.js'
import { parseTrainingRecord, type TrainingRecord, trainingName } from './training-record.js'
import { LUA_SEATS } from './training-scripts.js'

/** Where builds before records kept trainings. */
function oldKeys({ prefix }: Pick<RedisLink, 'prefix'>) {
  return {
    training: (id: string) => `${prefix}:training:${id}`,
    log: (id: string) => `${prefix}:log:${id}`,
    curve: (id: string) => `${prefix}:curve:${id}`,
    names: `${prefix}:training-names`,
    seats: `${prefix}:seat-trainings`,
    ends: (uuid: string) => `${prefix}:seat-ends:${uuid}`,
    all: `${prefix}:trainings`,
    unfinished: `${prefix}:trainings-unfinished`,
    ids: `${prefix}:training-ids`,
    control: `${prefix}:control`,
  }
}

/**
 * KEYS: base, then of the older build the training, its log, its curve, names, seats, ends of its seat, and the indexes of all,
 * unfinished ones, and ids. ARGV: how many changes are kept, id, trainer, requirements, protocol, name, seat uuid, createdAt,
 * endedAt or '', outcome, whether the Loop has acknowledged its end or '', then fields and values. An unfinished one waits; what
 * has ended keeps its end.
 */
const MIGRATE = luaScript(`${LUA_RECORDS}${LUA_SEATS}
local id, name, seat, createdAt, endedAt, outcome = ARGV[2], ARGV[6], ARGV[7], ARGV[8], ARGV[9], ARGV[10]
if redis.call('EXISTS', KEYS[2]) == 0 then return 0 end

local function list()
  local newest = redis.call('HGET', KEYS[6], seat)
  local held = redis.call('HGET', seats, seat)
  local isNewer = not held or tonumber(redis.call('HGET', recordKey(held), 'createdAt') or '0') < tonumber(createdAt)
  if isNewer and (not newest or newest == id) then redis.call('HSET', seats, seat, id) end
  if redis.call('HGET', KEYS[5], name) == id then redis.call('HSETNX', names, name, id) end
  if ARGV[11] == '' then redis.call('SADD', unacked(seat), id) end
end

if redis.call('EXISTS', recordKey(id)) == 0 then
  createRecord(id, 'training', ARGV[3], ARGV[4], ARGV[5], {'createdAt', createdAt, unpack(ARGV, 12)})
  for _, index in ipairs({'all:training', 'open:training'}) do redis.call('ZADD', key(index), createdAt, id) end
  if endedAt ~= '' then
    toEnded(id, outcome, {'endedAt', endedAt})
    for _, index in ipairs({'ended:training', 'ended:training:' .. outcome}) do redis.call('ZADD', key(index), endedAt, id) end
  end
  if redis.call('EXISTS', KEYS[3]) == 1 then redis.call('RENAME', KEYS[3], key('log:' .. id)) end
  if redis.call('EXISTS', KEYS[4]) == 1 then redis.call('RENAME', KEYS[4], key('curve:' .. id)) end
  list()
end
redis.call('DEL', KEYS[2], KEYS[3], KEYS[4])
if redis.call('HGET', KEYS[5], name) == id then redis.call('HDEL', KEYS[5], name) end
redis.call('SREM', KEYS[7], id)
for at = 8, 10 do redis.call('ZREM', KEYS[at], id) end
return 1`)

/**
 * Brings trainings of builds before records to their new form, once; nothing happens if there are none. The caller has made
 * sure that no part of such a build is alive. What cannot be read stays where it is.
 */
export async function migrateTrainings(
  link: RedisLink,
  queues: Pick<Queues, 'names' | 'destroy'>,
  { log }: { readonly log: Logger },
): Promise<void> {
  const { client } = link
  const keys = oldKeys(link)
  const { base } = recordKeys(link)
  const requests = await client.hgetall(keys.control)
  let count = 0
  for (const id of await client.zrange(keys.all, 0, '-1')) {
    const hash = await client.hgetall(keys.training(id))
    const old = parseOld(id, hash, log)
    if (old === undefined) continue
    const ofTraining = [keys.training(id), keys.log(id), keys.curve(id)]
    const indexes = [keys.names, keys.seats, keys.ends(old.seat.uuid), keys.all, keys.unfinished, keys.ids]
    count += Number(await MIGRATE(client, [base, ...ofTraining, ...indexes], toArguments(old, hash, requests[id])))
  }
  await forgetMigrated(link)
  await destroyQueues(queues)
  await raiseRedisReader(link, PROTOCOL)
  if (count > 0) log.info({ trainings: count }, 'trainings of an older version migrated')
}

/** What is kept by seat and by id in one hash each, which the script reads until the last training is migrated. */
async function forgetMigrated({ client, prefix }: Pick<RedisLink, 'client' | 'prefix'>): Promise<void> {
  const keys = oldKeys({ prefix })
  const left = new Set(await client.zrange(keys.all, 0, '-1'))
  for (const [seat, id] of Object.entries(await client.hgetall(keys.seats)))
    if (!left.has(id)) await client.hdel(keys.seats, seat)
  for (const id of await client.hkeys(keys.control)) if (!left.has(id)) await client.hdel(keys.control, id)
}

const OF_NODES = /^(node|scans|conversions)\./
const TRAININGS = 'trainings.'

/** The queues of trainings go last: no newer build makes such, so that queues of steps are destroyed once. */
async function destroyQueues(queues: Pick<Queues, 'names' | 'destroy'>): Promise<void> {
  const names = await queues.names()
  const ofTrainings = names.filter((name) => name.startsWith(TRAININGS))
  if (ofTrainings.length === 0) return
  const isOfSteps = (name: string) => workKinds.some((kind) => name.endsWith(`.${kind}`))
  const ofSteps = names.filter((name) => isOfSteps(name) && !OF_NODES.test(name) && !ofTrainings.includes(name))
  for (const name of [...ofSteps, ...ofTrainings]) await queues.destroy(name)
}

type Hash = Readonly<Record<string, string>>

function parseOld(id: string, hash: Hash, log: Logger): TrainingRecord | undefined {
  try {
    const old = parseTrainingRecord(id, hash)
    if (old === undefined) throw new Error('It is listed, but is not there.')
    checkRecordId(id)
    checkRecordName(old.trainer)
    return old
  } catch (error) {
    log.warn({ err: error, trainingId: id }, 'training of an older version unreadable')
    return undefined
  }
}

/** What the head of a record has, or the scripts of the journal alone. */
const OF_HEAD = new Set([
  ...['id', 'trainer', 'createdAt', 'startedAt', 'updatedAt', 'endedAt', 'outcome', 'run', 'hostId', 'fruitlessRuns'],
  ...['stopRequested', 'name', 'seatUuid', 'runUse'],
])
const SPREAD = [
  ['step:', 'steps:'],
  ['model:', 'models:'],
  ['fact:', 'facts:'],
] as const

function toArguments(old: TrainingRecord, hash: Hash, request: string | undefined): (string | number)[] {
  const { id, order, seat, createdAt, startedAt, endedAt, run, hostId, fruitlessRuns } = old
  const head = [KEPT_CHANGES, id, old.trainer, ANY_HOST, PROTOCOL, trainingName(order), seat.uuid]
  // Builds before acknowledgements were kept took an end for known after a minute.
  const isAcked = endedAt !== null && hash.endAckedAt !== 'null'
  const end = [createdAt, endedAt ?? '', old.outcome ?? 'failed', isAcked ? 1 : '']
  const fields = ['run', run, 'host', hostId ?? '', 'fruitlessRuns', fruitlessRuns, 'use', hash.runUse ?? 'excused']
  const times = ['startedAt', startedAt ?? '', 'data:endAckedAt', JSON.stringify(isAcked ? endedAt : null)]
  return [...head, ...end, ...fields, ...times, 'intent', toIntent(request), ...toPairs(hash)]
}

// The texts themselves: an order that the Loop repeats is compared with what was written.
function toPairs(hash: Hash): string[] {
  return Object.entries(hash).flatMap(([field, text]) => {
    if (OF_HEAD.has(field)) return []
    const [from = '', to = ''] = SPREAD.find(([prefix]) => field.startsWith(prefix)) ?? []
    return [`data:${to}${field.slice(from.length)}`, text]
  })
}

const requestSchema = z.object({ kind: z.enum(intentKinds), by: z.string() })

function toIntent(request: string | undefined): string {
  if (request === undefined) return ''
  try {
    return JSON.stringify({ ...requestSchema.parse(JSON.parse(request)), at: Date.now() })
  } catch {
    return '' // not one of ours; nobody must be stopped by it
  }
}
