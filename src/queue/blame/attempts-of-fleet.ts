import { z } from 'zod'
import { recordKeys } from '../records/record-keys.js'
import { type RecordKind, recordKinds } from '../records/record-schema.js'
import { LUA_CLOCK, luaScript, type RedisLink } from '../redis/index.js'
import type { KnownAttempt } from './known-attempts.js'
import { DAY_MS } from './next-attempt.js'

const entrySchema = z.object({
  kind: z.enum(recordKinds),
  name: z.string(),
  id: z.string(),
  /** Of this program: an outcome of it is noted once. */
  mark: z.string(),
  hostId: z.string(),
  gpus: z.array(z.object({ key: z.string(), index: z.int() })),
  outcome: z.enum(['failed', 'worked', 'finished']),
  cause: z.enum(['program', 'memory', 'hung', 'gpu']).nullable(),
  hasWorked: z.boolean(),
  seconds: z.number(),
})

/** What became of a program, as its host notes it. */
type NotedAttempt = z.input<typeof entrySchema>

/** What became of the programs of the fleet within a day, by trainer and converter. */
export type AttemptsOfFleet = {
  /** Notes it once; returns when, by the clock of Redis. */
  note(attempt: NotedAttempt): Promise<number>
  /** The oldest first, the newest two hundred of each name. */
  list(of: readonly { readonly kind: RecordKind; readonly name: string }[]): Promise<readonly KnownAttempt[]>
}

const KEPT = 200

/** ARGV: the attempt, how many are kept, for how many ms. A repetition answers the time of the first. */
const NOTE = luaScript(`${LUA_CLOCK}
redis.call('ZADD', KEYS[1], 'NX', stamp(), ARGV[1])
local at = redis.call('ZSCORE', KEYS[1], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now() - ARGV[3]))
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - ARGV[2])
return at`)

export function createAttemptsOfFleet(link: Pick<RedisLink, 'client' | 'prefix'>): AttemptsOfFleet {
  const keys = recordKeys(link)

  async function listOf(kind: RecordKind, name: string): Promise<KnownAttempt[]> {
    const flat = await link.client.zrange(keys.attempts(kind, name), 0, '-1', 'WITHSCORES')
    return Array.from({ length: flat.length / 2 }, (_, index) => ({
      text: flat[2 * index] ?? '',
      at: Number(flat[2 * index + 1]),
    })).flatMap(({ text, at }) => {
      const entry = parse(text)
      return entry === undefined ? [] : [{ ...entry, at, startedAt: at - 1000 * entry.seconds }]
    })
  }

  return {
    async note(attempt) {
      const { kind, name } = attempt
      const text = JSON.stringify(entrySchema.parse(attempt))
      return z.coerce.number().parse(await NOTE(link.client, [keys.attempts(kind, name)], [text, KEPT, DAY_MS]))
    },
    async list(of) {
      const all = await Promise.all(of.map(({ kind, name }) => listOf(kind, name)))
      return all.flat().sort((one, other) => one.at - other.at)
    },
  }
}

/** Entries of newer versions that this one does not know are left out. */
function parse(text: string): z.output<typeof entrySchema> | undefined {
  try {
    return entrySchema.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}
