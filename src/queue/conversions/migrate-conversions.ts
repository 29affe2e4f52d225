import { z } from 'zod'
import type { Logger } from '../../base/logger/index.js'
import type { Queues } from '../jobs/queues.js'
import { raiseRedisReader } from '../records/least-reader.js'
import { KEPT_CHANGES, LUA_RECORDS } from '../records/lua-records.js'
import { PROTOCOL } from '../records/protocol.js'
import { toPayloadPairs } from '../records/record-hash.js'
import { recordKeys } from '../records/record-keys.js'
import { luaScript, type RedisLink } from '../redis/index.js'
import { type ConversionPayload, conversionDefinition, conversionPayloadSchema } from './conversion-record.js'

/** A conversion as builds before records with a protocol number kept it: a hash whose values are JSON. */
const oldConversionSchema = z
  .object({
    id: z.string().min(1),
    state: z.enum(['waiting', 'running', 'converted', 'failed']),
    createdAt: z.number(),
    endedAt: z.number().nullable(),
    run: z.int().min(0),
    hostId: z.string().nullable(),
  })
  .extend(conversionPayloadSchema.omit({ delays: true, isUploading: true, warnings: true }).shape)
  .extend({ warnings: z.array(z.string()).default([]) })
type OldConversion = z.infer<typeof oldConversionSchema>

const QUEUE_PREFIX = 'conversions.'

/**
 * KEYS: base, then of the older build the conversion, its log, and the indexes of all, failed and converted ones. ARGV: how many
 * changes are kept, id, converter, requirements, protocol, state, createdAt, endedAt, then fields and values. What waited or ran
 * waits; what has ended keeps its end.
 */
const MIGRATE = luaScript(`${LUA_RECORDS}
local id, state, createdAt, endedAt = ARGV[2], ARGV[6], ARGV[7], ARGV[8]
if redis.call('EXISTS', KEYS[2]) == 0 then return 0 end
if redis.call('EXISTS', recordKey(id)) == 0 then
  createRecord(id, 'conversion', ARGV[3], ARGV[4], ARGV[5], {'createdAt', createdAt, unpack(ARGV, 9)})
  for _, index in ipairs({'all:conversion', 'open:conversion', 'waiting:conversion:' .. ARGV[3]}) do
    redis.call('ZADD', key(index), createdAt, id)
  end
  if state == 'converted' or state == 'failed' then
    toEnded(id, state, {'endedAt', endedAt})
    for _, index in ipairs({'ended:conversion', 'ended:conversion:' .. state}) do
      redis.call('ZADD', key(index), endedAt, id)
    end
  end
  if redis.call('EXISTS', KEYS[3]) == 1 then redis.call('RENAME', KEYS[3], key('log:' .. id)) end
end
redis.call('DEL', KEYS[2], KEYS[3])
for at = 4, 6 do redis.call('ZREM', KEYS[at], id) end
return 1`)

/**
 * Brings conversions of builds before records to their new form, once; nothing happens if there are none. The caller has made
 * sure that no part of such a build is alive. What cannot be read stays where it is, and the Loop is scanned for it again.
 */
export async function migrateConversions(
  link: RedisLink,
  queues: Pick<Queues, 'names' | 'destroy'>,
  { log }: { readonly log: Logger },
): Promise<void> {
  const { prefix, client } = link
  const indexes = ['conversions', 'conversions-failed', 'conversions-converted'].map((index) => `${prefix}:${index}`)
  const ids = await client.zrange(indexes[0] ?? '', 0, '-1')
  let count = 0
  for (const id of ids) {
    const key = `${prefix}:conversion:${id}`
    const old = parseOld(await client.hgetall(key))
    if (old === undefined) {
      log.warn({ key }, 'conversion of an older version unreadable')
      continue
    }
    const keys = [recordKeys(link).base, key, `${prefix}:conversion-log:${id}`, ...indexes]
    count += Number(await MIGRATE(client, keys, toArguments(old)))
  }
  const queuesOfOld = (await queues.names()).filter((name) => name.startsWith(QUEUE_PREFIX))
  for (const name of queuesOfOld) await queues.destroy(name)
  await raiseRedisReader(link, PROTOCOL)
  if (count > 0) log.info({ conversions: count }, 'conversions of an older version migrated')
}

function toArguments({ id, state, createdAt, endedAt, run, hostId, ...payload }: OldConversion): (string | number)[] {
  const whole: ConversionPayload = { ...payload, delays: 0, isUploading: false }
  const head = [KEPT_CHANGES, id, payload.order.converter, JSON.stringify({ gpus: 0 }), PROTOCOL]
  const times = [state, createdAt, endedAt ?? createdAt]
  return [...head, ...times, 'run', run, 'host', hostId ?? '', ...toPayloadPairs(whole, conversionDefinition)]
}

function parseOld(hash: Readonly<Record<string, string>>): OldConversion | undefined {
  try {
    const entries = Object.entries(hash).map(([field, text]): [string, unknown] => [field, JSON.parse(text)])
    return oldConversionSchema.safeParse(Object.fromEntries(entries)).data
  } catch {
    return undefined // no JSON
  }
}
