import { messageOf } from '../../base/index.js'
import type { RedisLink } from '../redis/index.js'
import type { WaitingRecord } from './rank.js'
import { parseHead, parseRecord } from './record-hash.js'
import type { RecordKeys } from './record-keys.js'
import {
  type FleetRecord,
  type HistoryEntry,
  historyEntrySchema,
  type Intent,
  intentSchema,
  type PayloadDefinition,
} from './record-schema.js'

type RecordPage<T> = {
  readonly records: readonly FleetRecord<T>[]
  /** Of a newer version, or broken: they do not hide the others, and are not passed over either. */
  readonly unreadable: readonly { readonly id: string; readonly problem: string }[]
}

type RecordSet = 'all' | 'open' | 'ended'
/** An outcome stands for those that have ended with it. */
type RecordQuery = { readonly of?: RecordSet } | { readonly outcome: string }

export type RecordReader<T> = {
  /** Undefined when there is none of this kind. Throws LF_RECORD_TOO_NEW or LF_RECORD_INVALID. */
  load(id: string): Promise<FleetRecord<T> | undefined>
  /** A page, the newest first: by creation, or by their end. */
  list(options?: RecordQuery & { readonly limit?: number; readonly offset?: number }): Promise<RecordPage<T>>
  count(query?: RecordQuery): Promise<number>
  /** How many wait, by trainer or converter; also those that hosts are offered only after a pause. */
  countWaiting(): Promise<Readonly<Record<string, number>>>
  /** Whether somebody wants it to end; also of a record that Redis has lost. */
  intentOf(id: string): Promise<Intent | null>
  /** Ids that begin so, in their order. */
  idsFrom(prefix: string, limit: number): Promise<readonly string[]>
  /**
   * A page of what waits for these trainers or converters, the oldest of each name first. Records that cannot be read are left
   * out: nobody here can claim them.
   */
  waiting(
    names: readonly string[],
    options?: { readonly limit?: number; readonly offset?: number },
  ): Promise<{ readonly records: readonly WaitingRecord[]; readonly hasMore: boolean }>
  /** What happened to it, the newest last. */
  history(id: string): Promise<readonly HistoryEntry[]>
}

export function createRecordReader<T extends object>(
  link: Pick<RedisLink, 'client'>,
  keys: RecordKeys,
  definition: PayloadDefinition<T>,
  protocol: number,
): RecordReader<T> {
  const { client } = link
  const { kind } = definition

  const indexOf = (query: RecordQuery) =>
    'outcome' in query ? keys.endedAs(kind, query.outcome) : keys[query.of ?? 'all'](kind)

  async function load(id: string): Promise<FleetRecord<T> | undefined> {
    const key = keys.record(id)
    return parseRecord(key, await client.hgetall(key), definition, protocol)
  }

  async function loadAll(ids: readonly string[]): Promise<RecordPage<T>> {
    const records: FleetRecord<T>[] = []
    const unreadable: { id: string; problem: string }[] = []
    const answers = await Promise.allSettled(ids.map(load))
    answers.forEach((answer, index) => {
      if (answer.status === 'rejected') unreadable.push({ id: ids[index] ?? '', problem: messageOf(answer.reason) })
      else if (answer.value !== undefined) records.push(answer.value)
    })
    return { records, unreadable }
  }

  async function loadHead(id: string): Promise<WaitingRecord | undefined> {
    const values = await client.hmget(keys.record(id), ...HEAD)
    try {
      return parseHead(Object.fromEntries(HEAD.map((field, index) => [field, values[index] ?? null])), protocol)
    } catch {
      return undefined // of a newer version, broken, or removed since: other hosts may be able to claim it
    }
  }

  async function waitingOf(name: string, limit: number, offset: number) {
    const ids = await client.zrange(keys.waiting(kind, name), offset, String(offset + limit - 1))
    const heads = await Promise.all(ids.map(loadHead))
    return { records: heads.filter((head) => head !== undefined), hasMore: ids.length === limit }
  }

  return {
    load,
    async list({ limit = 100, offset = 0, ...query } = {}) {
      if (limit <= 0) return { records: [], unreadable: [] }
      return await loadAll(await client.zrevrange(indexOf(query), offset, offset + limit - 1))
    },
    count: (query = {}) => client.zcard(indexOf(query)),
    async countWaiting() {
      const names = (await client.smembers(keys.names)).filter((name) => name.startsWith(`${kind}:`))
      const counts = names.map(async (full) => {
        const name = full.slice(kind.length + 1)
        const [waiting, paused, held] = await Promise.all([
          client.zcard(keys.waiting(kind, name)),
          client.zcard(keys.paused(kind, name)),
          client.zcard(keys.held(kind, name)),
        ])
        return [name, waiting + paused + held] as const
      })
      return Object.fromEntries(await Promise.all(counts))
    },
    async intentOf(id) {
      const ofRecord = await client.hget(keys.record(id), 'intent')
      const text = ofRecord || (await client.get(keys.intent(id)))
      return text === null ? null : intentSchema.parse(JSON.parse(text))
    },
    idsFrom: (prefix, limit) => client.zrangebylex(keys.ids(kind), `[${prefix}`, `[${prefix}~`, 'LIMIT', 0, limit),
    async waiting(names, { limit = 100, offset = 0 } = {}) {
      const pages = await Promise.all(names.map((name) => waitingOf(name, limit, offset)))
      return { records: pages.flatMap(({ records }) => records), hasMore: pages.some(({ hasMore }) => hasMore) }
    },
    async history(id) {
      const lines = await client.lrange(keys.history(id), 0, -1)
      return lines.map((line) => historyEntrySchema.parse(JSON.parse(line)))
    },
  }
}

const HEAD = [
  ...['id', 'born', 'kind', 'name', 'requires', 'protocol', 'version', 'life', 'run', 'host', 'incarnation', 'leaseMs'],
  ...[
    'intent',
    'outcome',
    'use',
    'fruitlessRuns',
    'failures',
    'lastFailure',
    'createdAt',
    'updatedAt',
    'startedAt',
    'endedAt',
    'avoid',
    'held',
  ],
]
