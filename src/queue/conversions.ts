import { z } from 'zod'
import { RunSupersededError } from '../base/abort-reasons.js'
import { LoopfleetError } from '../base/errors.js'
import type { Logger } from '../base/logger.js'
import {
  type ConversionFailure,
  type ConversionOrder,
  type ConversionRecord,
  conversionIdOf,
  parseConversionRecord,
  toConversionPairs,
} from './conversion-record.js'
import { BEGIN, FORGET, PLAN, RETRY, SETTLE } from './conversion-scripts.js'
import type { RunInRedis } from './journal.js'
import { RecordLostError } from './journal-errors.js'
import { queueNames } from './names.js'
import type { RedisLink } from './open-redis.js'
import type { Queues } from './queues.js'
import type { Subscription } from './subscriptions.js'
import { createTrainingLog, type TrainingLog } from './training-log.js'

export type { ConversionFailure, ConversionOrder, ConversionRecord, ConversionState } from './conversion-record.js'

/** `planned` and `again` are new work, the others are what it was before and is still. */
export type PlanOutcome = 'planned' | 'again' | 'waiting' | 'running' | 'failed' | 'converted'

export type RetryOutcome =
  | { readonly outcome: 'reopened'; readonly conversion: ConversionRecord }
  | { readonly outcome: 'refused'; readonly reason: string }

/** How a take of a conversion ends. */
export type ConversionEnd =
  | {
      readonly state: 'converted'
      readonly files: readonly string[]
      readonly seconds: number
      readonly warnings?: readonly string[]
    }
  | { readonly state: 'failed'; readonly failure: ConversionFailure; readonly warnings?: readonly string[] }
  /** Not the model's fault: it goes on waiting. */
  | { readonly state: 'waiting'; readonly failure?: ConversionFailure }

/** What a take begins with; `deaths` is how many takes in a row before it ended with their worker. */
export type BegunConversion = { readonly run: number; readonly deaths: number; readonly record: ConversionRecord }

/** The name of a model that the Loop has just taken. */
export type UploadedModelName = { readonly organization: string; readonly project: string; readonly format: string }

/** The durable record of all conversions: what is to do, and what failed and must not be tried at every look. */
export type Conversions = TrainingLog & {
  /** What Redis' clock says; give it as `lookedAt`. */
  now(): Promise<number>
  /**
   * The Loop lacks this format. Makes one job for it, unless it failed by this very definition, or was converted after
   * the Loop was looked at.
   */
  plan(order: ConversionOrder, how: { readonly definition: string; readonly lookedAt: number }): Promise<PlanOutcome>
  load(id: string): Promise<ConversionRecord | undefined>
  /** By id or the unique beginning of one; throws LF_CONVERSION_AMBIGUOUS. */
  find(idOrPrefix: string): Promise<ConversionRecord | undefined>
  /** The newest first. */
  list(options?: {
    readonly limit?: number
    readonly offset?: number
    readonly failedOnly?: boolean
  }): Promise<readonly ConversionRecord[]>
  count(options?: { readonly failedOnly?: boolean }): Promise<number>
  /** A host takes it: raises the run, so that every older take is fenced off. Undefined when there is nothing to do. */
  begin(id: string, by: { readonly hostId: string }): Promise<BegunConversion | undefined>
  /**
   * Throws RunSupersededError when another take has begun or the conversion has ended, LF_RECORD_LOST when the record is
   * missing, of a lower run, or of another host in this very run.
   */
  checkRun(id: string, run: number, hostId?: string): Promise<void>
  /** What Redis has of a take that is at work. */
  compareRun(id: string, run: number, hostId?: string): Promise<RunInRedis>
  settle(id: string, run: number, end: ConversionEnd): Promise<void>
  /** The model is gone from the Loop. */
  forget(id: string, run: number): Promise<void>
  retry(id: string): Promise<RetryOutcome>
  /** Tells the converters of the fleet that a model was uploaded, so that they need not wait for their next look. */
  tellUpload(model: UploadedModelName): Promise<void>
  onUpload(listener: (model: UploadedModelName) => void): Promise<Subscription>
}

export type ConversionsOptions = {
  readonly keepLogSeconds?: number
  /** How many that went well are remembered. */
  readonly keepConverted?: number
  /** Before a format is made again that the Loop took and lacks for the second time; doubles up to a day. */
  readonly repeatAfterMs?: number
}

const DAY_MS = 86_400_000

/** No conversion has this id. */
export class ConversionUnknownError extends LoopfleetError {
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

/** The beginning of an id that several conversions share. */
export class ConversionAmbiguousError extends LoopfleetError {
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
  queues: Pick<Queues, 'add' | 'remove' | 'job'>,
  options: ConversionsOptions = {},
  deps: { readonly log?: Logger } = {},
): Conversions {
  const { keepLogSeconds = 7 * 86_400, keepConverted = 1_000, repeatAfterMs = 60_000 } = options
  const keys = conversionKeys(link)

  async function load(id: string): Promise<ConversionRecord | undefined> {
    const key = keys.conversion(id)
    return parseConversionRecord(key, await link.client.hgetall(key))
  }

  async function loadSafely(id: string): Promise<ConversionRecord | undefined> {
    try {
      return await load(id)
    } catch (error) {
      deps.log?.warn({ err: error, conversionId: id }, 'a record cannot be read')
      return undefined
    }
  }

  async function compareRun(id: string, run: number, hostId?: string): Promise<RunInRedis> {
    const [current, state, host] = await link.client.hmget(keys.conversion(id), 'run', 'state', 'hostId')
    if (current === null || current === undefined) return { state: 'lost', found: null }
    const found = Number(current)
    if (found > run || (found === run && state !== '"running"')) return { state: 'newer', found }
    const isOfAnother = hostId !== undefined && host !== JSON.stringify(hostId)
    return { state: found < run || isOfAnother ? 'lost' : 'same', found }
  }

  // A job that has ended still holds the id.
  async function addJob(id: string, converter: string): Promise<void> {
    const queue = queueNames.conversions(converter)
    const known = await queues.job(queue, id)
    if (known?.state === 'completed' || known?.state === 'failed') await queues.remove(queue, id, { force: true })
    await queues.add(queue, 'conversion', { conversionId: id }, { id, programAttempts: 1 })
  }

  return {
    ...createTrainingLog(link, keys, async (id) => {
      const state = await link.client.hget(keys.conversion(id), 'state')
      return state !== '"waiting"' && state !== '"running"'
    }),

    async now() {
      const [seconds, microseconds] = await link.client.time()
      return Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000)
    },

    async plan(order, { definition, lookedAt }) {
      const id = conversionIdOf(order)
      const outcome = String(
        await PLAN(
          link.client,
          [keys.conversion(id), keys.all, keys.failed, keys.converted],
          [
            ...[id, keys.changes, JSON.stringify(definition), lookedAt, repeatAfterMs, DAY_MS],
            ...toConversionPairs({ ...BLANK, id, order }),
          ],
        ),
      ) as PlanOutcome
      // Also for one that waits: whoever planned it may have died before it added the job.
      if (outcome !== 'failed' && outcome !== 'converted') await addJob(id, order.converter)
      return outcome
    },

    load,
    async find(wanted) {
      if (!/^[0-9a-z]+$/.test(wanted)) return undefined
      const exact = await load(wanted)
      if (exact !== undefined) return exact
      const ids = (await link.client.zrevrange(keys.all, 0, -1)).filter((id) => id.startsWith(wanted))
      if (ids.length > 1) throw new ConversionAmbiguousError({ prefix: wanted, ids: ids.slice(0, 5) })
      return ids[0] === undefined ? undefined : await load(ids[0])
    },
    async list({ limit = 100, offset = 0, failedOnly = false } = {}) {
      const index = failedOnly ? keys.failed : keys.all
      const ids = limit > 0 ? await link.client.zrevrange(index, offset, offset + limit - 1) : []
      const records = await Promise.all(ids.map(loadSafely))
      return records.filter((record) => record !== undefined)
    },
    count: ({ failedOnly = false } = {}) => link.client.zcard(failedOnly ? keys.failed : keys.all),

    async begin(id, { hostId }) {
      const answer = await BEGIN(link.client, [keys.conversion(id)], [id, keys.changes, JSON.stringify(hostId)])
      if (!Array.isArray(answer)) return undefined
      const [deaths, flat] = begunSchema.parse(answer)
      const record = parseConversionRecord(keys.conversion(id), toHash(flat))
      return record && { run: record.run, deaths, record }
    },
    compareRun,
    async checkRun(id, run, hostId) {
      const { state, found } = await compareRun(id, run, hostId)
      if (state === 'newer') throw superseded(id, run)
      if (state === 'lost') throw new RecordLostError({ what: `conversion ${id}`, run, found })
    },
    async settle(id, run, { state, ...facts }) {
      const touched = [keys.conversion(id), keys.failed, keys.converted, keys.log(id), keys.all]
      const head = [id, keys.changes, run, keepLogSeconds, keepConverted, keys.prefix, keys.logPrefix, state]
      const fields = state === 'converted' ? { ...facts, failure: null } : facts
      const pairs = toConversionPairs(fields as Partial<ConversionRecord>)
      throwUnlessOk(await SETTLE(link.client, touched, [...head, ...pairs]), id, run)
    },
    async forget(id, run) {
      const touched = [keys.conversion(id), keys.all, keys.failed, keys.converted, keys.log(id)]
      throwUnlessOk(await FORGET(link.client, touched, [id, keys.changes, run]), id, run)
    },
    async retry(id) {
      const answer = await RETRY(link.client, [keys.conversion(id), keys.failed], [id, keys.changes])
      const conversion = answer === 'unknown' ? undefined : await load(id)
      if (conversion === undefined) throw new ConversionUnknownError(id)
      const reason = `Conversion ${id} is ${String(answer)}; only a failed one can be retried.`
      if (answer !== 'ok') return { outcome: 'refused', reason }
      await addJob(id, conversion.order.converter)
      return { outcome: 'reopened', conversion }
    },

    async tellUpload({ organization, project, format }) {
      await link.client.publish(keys.uploads, JSON.stringify({ organization, project, format }))
    },
    onUpload: (listener) =>
      link.subscribe(keys.uploads, (message) => {
        const model = parseUpload(message)
        if (model !== undefined) listener(model)
      }),
  }
}

function conversionKeys(link: Pick<RedisLink, 'prefix'>) {
  const base = link.prefix
  return {
    prefix: `${base}:conversion:`,
    conversion: (id: string) => `${base}:conversion:${id}`,
    logPrefix: `${base}:conversion-log:`,
    log: (id: string) => `${base}:conversion-log:${id}`,
    /** Sorted sets of ids: all by when they were planned, failed and converted ones by when they ended. */
    all: `${base}:conversions`,
    failed: `${base}:conversions-failed`,
    converted: `${base}:conversions-converted`,
    /** Pub/sub channels. */
    changes: `${base}:conversion-changes`,
    uploads: `${base}:model-uploads`,
  }
}

const BLANK: Partial<ConversionRecord> = { run: 0, repeats: 0, hostId: null, files: [], seconds: null }

function throwUnlessOk(answer: unknown, id: string, run: number): void {
  if (answer === 'superseded') throw superseded(id, run)
  if (answer === 'unknown') throw new RecordLostError({ what: `conversion ${id}`, run, found: null })
}

function superseded(id: string, run: number): RunSupersededError {
  return new RunSupersededError({ trainingId: id, run })
}

const begunSchema = z.tuple([z.int(), z.array(z.string())])

/** What HGETALL answers within a script. */
function toHash(flat: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    Array.from({ length: flat.length / 2 }, (_, index) => [flat[2 * index] ?? '', flat[2 * index + 1] ?? '']),
  )
}

const uploadSchema = z.object({ organization: z.string(), project: z.string(), format: z.string() })

function parseUpload(message: string): UploadedModelName | undefined {
  try {
    return uploadSchema.safeParse(JSON.parse(message)).data
  } catch {
    return undefined // not one of ours
  }
}
