import type { Redis } from 'ioredis'
import { z } from 'zod'
import type { RedisLink } from '../redis/index.js'
import { recordKeys } from './record-keys.js'
import { recordKinds } from './record-schema.js'

/** What one write of a record has appended. Its payload is not in it: read the record. */
export type Change = {
  readonly id: string
  readonly kind: (typeof recordKinds)[number]
  /** The record's version after it. */
  readonly version: number
  /** Such as 'claimed', 'updated', 'removed'. */
  readonly what: string
  readonly position: StreamPosition
}

/** A place in the stream: the id of an entry, and how many entries there have been with it. */
export type StreamPosition = { readonly entryId: string; readonly n: number }

/** A place that outlives the process, as text. */
export type Cursor = string

const changeSchema = z.object({
  n: z.coerce.number().int().min(1),
  id: z.string(),
  kind: z.enum(recordKinds),
  version: z.coerce.number().int(),
  what: z.string(),
})

type Entry = readonly [string, readonly string[]]

/** Reads the one stream of all records. Entries are numbered, so that a gap is seen, wherever it comes from. */
export function createChangeStream(link: Pick<RedisLink, 'client' | 'prefix'>) {
  const { client } = link
  const { changes: key } = recordKeys(link)

  function toChange([entryId, flat]: Entry): Change {
    const fields = Object.fromEntries(flat.flatMap((text, at) => (at % 2 === 0 ? [[text, flat[at + 1]]] : [])))
    const { n, ...change } = changeSchema.parse(fields)
    return { ...change, position: { entryId, n } }
  }

  /** The changes, or 'gap' when one behind `from` is missing. */
  function inOrder(entries: readonly Entry[], from: StreamPosition): readonly Change[] | 'gap' {
    const found = entries.map(toChange)
    return found.every(({ position }, index) => position.n === from.n + index + 1) ? found : 'gap'
  }

  return {
    async newest(): Promise<StreamPosition> {
      const [entry] = await client.xrevrange(key, '+', '-', 'COUNT', 1)
      return entry === undefined ? START : toChange(entry).position
    },

    /** Whether Redis still has this place: it was not trimmed, and Redis has not lost it. */
    async has({ entryId, n }: StreamPosition): Promise<boolean> {
      if (n > 0) {
        const [entry] = await client.xrange(key, entryId, entryId)
        return entry !== undefined && toChange(entry).position.n === n
      }
      const [first] = await client.xrange(key, '-', '+', 'COUNT', 1)
      return first === undefined || toChange(first).position.n === 1
    },

    async readRange(from: StreamPosition, to: StreamPosition, count: number): Promise<readonly Change[] | 'gap'> {
      return inOrder(await client.xrange(key, `(${from.entryId}`, to.entryId, 'COUNT', count), from)
    },

    /** Waits for changes behind `from` on a connection that nobody else uses. */
    async readBehind(
      connection: Redis,
      from: StreamPosition,
      { count, blockMs }: { readonly count: number; readonly blockMs: number },
    ): Promise<readonly Change[] | 'gap'> {
      const answer = await connection.xread('COUNT', count, 'BLOCK', blockMs, 'STREAMS', key, from.entryId)
      return inOrder(answer?.[0]?.[1] ?? [], from)
    },

    toCursor: ({ entryId, n }: StreamPosition): Cursor => `${entryId}/${n}`,

    /** Undefined for a text that is no cursor of ours. */
    parseCursor(cursor: Cursor): StreamPosition | undefined {
      const [, entryId, n] = /^(\d+-\d+)\/(\d+)$/.exec(cursor) ?? []
      return entryId === undefined ? undefined : { entryId, n: Number(n) }
    },
  }
}

const START: StreamPosition = { entryId: '0-0', n: 0 }
