import { z } from 'zod'
import { LoopfleetError } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import type { Queues } from '../jobs/queues.js'
import { createChangeFeed } from '../records/change-feed.js'
import { KEPT_CHANGES } from '../records/lua-records.js'
import { PROTOCOL } from '../records/protocol.js'
import { toPayloadPairs } from '../records/record-hash.js'
import { checkRecordName, recordKeys } from '../records/record-keys.js'
import { createRecords, type Records } from '../records/records.js'
import { createTrainingLog, type TrainingLog } from '../records/training-log.js'
import type { RedisLink, Subscription } from '../redis/index.js'
import {
  type ConversionOrder,
  type ConversionPayload,
  type ConversionRecord,
  conversionDefinition,
  conversionIdOf,
  toConversion,
} from './conversion-record.js'
import { PLAN } from './conversion-scripts.js'
import { migrateConversions } from './migrate-conversions.js'

/** `planned` and `again` mean that a record was added or waits again; the others are the state of the existing record. */
type PlanOutcome = z.infer<typeof planOutcomeSchema>
const planOutcomeSchema = z.enum(['planned', 'again', 'waiting', 'running', 'failed', 'converted'])

type RetryOutcome =
  | { readonly outcome: 'reopened'; readonly conversion: ConversionRecord }
  | { readonly outcome: 'refused'; readonly reason: string }

/** The name of a model that the Loop has just accepted. */
export type UploadedModelName = { readonly organization: string; readonly project: string; readonly format: string }

/** The conversions of the fleet: a thin module on their records, with the rule of one per model and format. */
export type Conversions = TrainingLog & {
  /** The records themselves, for the host that works on them. */
  readonly records: Records<ConversionPayload>
  /** The time of Redis, for `readAt`. */
  now(): Promise<number>
  /**
   * Adds a record for a format that the Loop lacks, unless the conversion has failed with the same definition, or ended
   * after `readAt`, the time at which the Loop was read.
   */
  plan(order: ConversionOrder, how: { readonly definition: string; readonly readAt: number }): Promise<PlanOutcome>
  load(id: string): Promise<ConversionRecord | undefined>
  /** By id or unique prefix; throws LF_CONVERSION_AMBIGUOUS. */
  find(idOrPrefix: string): Promise<ConversionRecord | undefined>
  /** The newest first. */
  list(options?: {
    readonly limit?: number
    readonly offset?: number
    readonly failedOnly?: boolean
  }): Promise<readonly ConversionRecord[]>
  count(options?: { readonly failedOnly?: boolean }): Promise<number>
  /** Number of conversions that wait, by converter, and of those that hosts work on. */
  countOpen(): Promise<{ readonly waiting: Readonly<Record<string, number>>; readonly running: number }>
  /** Whether a conversion of this converter waits without a pause, or a host works on it. */
  isBusy(converter: string): Promise<boolean>
  /** Waits until all have ended or were removed; throws the signal's reason. */
  untilEnded(ids: readonly string[], options: { readonly signal: AbortSignal }): Promise<void>
  retry(id: string): Promise<RetryOutcome>
  /** Ends a conversion: immediately if no host has it, otherwise its host ends the program. */
  abort(id: string, by: string): Promise<'ended' | 'asked' | 'ended-before'>
  /** Removes the oldest converted ones with their logs. Failed ones stay until they are converted or their model is deleted. */
  trim(): Promise<void>
  /** Migrates the data of builds that had no records, once. */
  migrate(queues: Pick<Queues, 'names' | 'destroy'>): Promise<void>
  /** Notifies the converters of the fleet that a model was uploaded, so that they need not wait for their next scan. */
  announceUpload(model: UploadedModelName): Promise<void>
  onUpload(listener: (model: UploadedModelName) => void): Promise<Subscription>
}

export type ConversionsOptions = {
  /** Number of converted ones that are kept. */
  readonly keepConverted?: number
  /** Pause before a format is converted again that the Loop has accepted and lacks again; doubles up to a day. */
  readonly repeatAfterMs?: number
  /** Protocol number of the records that are read and written; that of this build by default. */
  readonly protocol?: number
}

const DAY_MS = 86_400_000
const TRIM_LIMIT = 100

/** No conversion has this id. */
class ConversionUnknownError extends LoopfleetError {
  static {
    this.prototype.name = 'ConversionUnknownError'
  }
  constructor(conversionId: string) {
    super(
      'LF_CONVERSION_UNKNOWN',
      `There is no conversion ${JSON.stringify(conversionId)}; "loopfleet conversions" lists them.`,
      { details: { conversionId } },
    )
  }
}

/** A prefix that the ids of several conversions have. */
class ConversionAmbiguousError extends LoopfleetError {
  static {
    this.prototype.name = 'ConversionAmbiguousError'
  }
  constructor(details: { readonly prefix: string; readonly ids: readonly string[] }) {
    super(
      'LF_CONVERSION_AMBIGUOUS',
      `Several conversions begin with "${details.prefix}" (${details.ids.join(', ')}); give more of the id.`,
      { details },
    )
  }
}

export function createConversions(
  link: RedisLink,
  options: ConversionsOptions,
  { log }: { readonly log: Logger },
): Conversions {
  const { keepConverted = 1_000, repeatAfterMs = 60_000, protocol = PROTOCOL } = options
  const keys = recordKeys(link)
  const uploads = `${link.prefix}:model-uploads`
  const records = createRecords(link, conversionDefinition, { protocol })

  async function load(id: string): Promise<ConversionRecord | undefined> {
    const record = await records.load(id)
    return record && toConversion(record)
  }

  async function isOpen(id: string): Promise<boolean> {
    const life = await link.client.hget(keys.record(id), 'life')
    return life === 'waiting' || life === 'claimed'
  }

  return {
    ...createTrainingLog(link, keys, async (id) => !(await isOpen(id))),
    records,

    async now() {
      const [seconds, microseconds] = await link.client.time()
      return Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000)
    },

    async plan(order, { definition, readAt }) {
      const head = [KEPT_CHANGES, conversionIdOf(order), checkRecordName(order.converter), ANY_HOST, protocol]
      const rule = [JSON.stringify(definition), readAt, repeatAfterMs, DAY_MS]
      const pairs = toPayloadPairs({ ...NEW_CONVERSION, order, definition }, conversionDefinition)
      return planOutcomeSchema.parse(await PLAN(link.client, [keys.base], [...head, ...rule, ...pairs]))
    },

    load,
    async find(wanted) {
      if (!/^[0-9a-z]+$/.test(wanted)) return undefined
      const ids = await records.idsFrom(wanted, 6)
      const exact = ids.find((id) => id === wanted)
      if (exact === undefined && ids.length > 1)
        throw new ConversionAmbiguousError({ prefix: wanted, ids: ids.slice(0, 5) })
      const id = exact ?? ids[0]
      return id === undefined ? undefined : await load(id)
    },
    async list({ limit, offset, failedOnly = false } = {}) {
      const page = { ...(limit !== undefined && { limit }), ...(offset !== undefined && { offset }) }
      const found = await records.list({ ...page, ...(failedOnly ? FAILED : {}) })
      for (const { id, problem } of found.unreadable)
        log.warn({ conversionId: id, problem }, 'record of a conversion unreadable')
      return found.records.map(toConversion)
    },
    count: ({ failedOnly = false } = {}) => records.count(failedOnly ? FAILED : {}),
    async countOpen() {
      const [open, waiting] = await Promise.all([records.count({ of: 'open' }), records.countWaiting()])
      const sum = Object.values(waiting).reduce((total, count) => total + count, 0)
      return { waiting, running: Math.max(0, open - sum) } // never negative, although the two are counted one after the other
    },
    async isBusy(converter) {
      const { records: open } = await records.list({ of: 'open', limit: 1_000 })
      const paused = new Set(await link.client.zrange(keys.paused('conversion', converter), 0, '-1'))
      return open.some(({ id, name }) => name === converter && !paused.has(id))
    },
    async untilEnded(ids, { signal }) {
      if (ids.length === 0) return
      const feed = createChangeFeed(link, {}, { log })
      try {
        await feed.start({ signal })
        let left = ids
        for await (const item of feed.follow(undefined, signal)) {
          if (!item.snapshot && !left.includes(item.change.id)) continue
          const open = await Promise.all(left.map(isOpen))
          left = left.filter((_id, index) => open[index])
          if (left.length === 0) return
        }
        signal.throwIfAborted()
      } finally {
        await feed.stop()
      }
    },

    async retry(id) {
      for (;;) {
        const record = await records.load(id)
        if (record === undefined) throw new ConversionUnknownError(id)
        if (record.held !== null) {
          await records.resume(id)
          const resumed = await load(id)
          if (resumed !== undefined) return { outcome: 'reopened', conversion: resumed }
        }
        const { state } = toConversion(record)
        const reason = `Conversion ${id} is ${state}; only a failed one can be retried.`
        if (state !== 'failed' && state !== 'aborted') return { outcome: 'refused', reason }
        if ((await records.reopen(record, { delays: 0, isUploading: false, failedAttempts: [] })) !== 'ok') continue // the record was written meanwhile
        const conversion = await load(id)
        if (conversion !== undefined) return { outcome: 'reopened', conversion }
      }
    },
    async abort(id, by) {
      for (;;) {
        const record = await records.load(id)
        if (record === undefined) throw new ConversionUnknownError(id)
        const outcome = await records.intend(id, 'abort', by, { endIfWaiting: record.version })
        if (outcome !== 'changed' && outcome !== 'unknown') return outcome
      }
    },
    async trim() {
      await records.trim({ outcome: 'converted', keep: keepConverted, limit: TRIM_LIMIT })
    },

    migrate: (queues) => migrateConversions(link, queues, { log }),
    async announceUpload({ organization, project, format }) {
      await link.client.publish(uploads, JSON.stringify({ organization, project, format }))
    },
    onUpload: (listener) =>
      link.subscribe(uploads, (message) => {
        const model = parseUpload(message)
        if (model !== undefined) listener(model)
      }),
  }
}

/** An order requires no GPUs by itself: only the hosts that serve the converter know how many it needs. */
const ANY_HOST = JSON.stringify({ gpus: 0 })
const FAILED = { outcome: 'failed' } as const
const NEW_CONVERSION = {
  ...{
    repeats: 0,
    delays: 0,
    isUploading: false,
    failure: null,
    failedAttempts: [],
    files: [],
    seconds: null,
    warnings: [],
  },
} satisfies Partial<ConversionPayload>

const uploadSchema = z.object({ organization: z.string(), project: z.string(), format: z.string() })

function parseUpload(message: string): UploadedModelName | undefined {
  try {
    return uploadSchema.safeParse(JSON.parse(message)).data
  } catch {
    return undefined // not one of ours
  }
}
