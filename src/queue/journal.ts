import { z } from 'zod'
import { RunSupersededError } from '../base/abort-reasons.js'
import type { Logger } from '../base/logger.js'
import type { TrainingOrder } from '../loop/protocol/index.js'
import type { JobHandle } from './job-handle.js'
import { RecordLostError, TrainingEndedError, TrainingUnknownError } from './journal-errors.js'
import { journalKeys } from './journal-keys.js'
import { createRecordReader, type RecordReader } from './journal-reader.js'
import { ACCEPT, ACK_END, BEGIN_RUN, FINISH, FINISH_STEP, REOPEN, UPDATE } from './journal-scripts.js'
import type { Stage } from './names.js'
import type { RedisLink } from './open-redis.js'
import { type Promptly, promptly } from './promptly.js'
import type { Subscription } from './subscriptions.js'
import { createTrainingCurve, type TrainingCurve } from './training-curve.js'
import { createTrainingLog, type TrainingLog } from './training-log.js'
import {
  parseTrainingRecord,
  type StepRecord,
  type TrainingOutcome,
  type TrainingProgressFields,
  type TrainingRecord,
  toHashPairs,
  trainingName,
} from './training-record.js'
import {
  BLANK,
  busySentence,
  elsewhereSentence,
  newTrainingId,
  reopenRefusals,
  reopenSentence,
} from './trainings/training-rules.js'

export type { TrainingOutcome, TrainingProgressFields, TrainingRecord } from './training-record.js'

export type AcceptedOrder =
  | { readonly outcome: 'accepted' | 'same'; readonly training: TrainingRecord }
  | { readonly outcome: 'refused'; readonly reason: string }

export type Reopened =
  | { readonly outcome: 'reopened'; readonly training: TrainingRecord }
  | { readonly outcome: 'refused'; readonly reason: string }

/** What people see of a job in the end: how far it came, unless that is known, and the last lines of its log. */
export type JobEnding = {
  readonly key: JobHandle<unknown>['key']
  readonly progress?: object | undefined
  readonly lines: readonly string[]
}

/** `found` is the run in the record, null without one. */
export type RunInRedis = { readonly state: 'same' | 'newer' | 'lost'; readonly found: number | null }

export type TakenBy = { readonly hostId: string; readonly workerPid: number }
export type TakenTraining = { readonly run: number; readonly before: TrainingRecord }

/** The durable record of all trainings; what must change together changes in one step. */
export type Journal = TrainingLog &
  TrainingCurve &
  RecordReader & {
    /** For what somebody waits for: throws with the reason when it is not done in time, and then it is not done later. */
    readonly promptly: Promptly
    /** Decides whether an order is a new training, one we have, or none we can take now. */
    accept(order: {
      readonly order: TrainingOrder
      readonly trainer: string
      readonly seat: { readonly uuid: string; readonly name: string }
    }): Promise<AcceptedOrder>
    unfinishedOfSeat(uuid: string): Promise<TrainingRecord | undefined>
    /** Trainings of a seat that have ended, which the Loop has not acknowledged. */
    unackedEndsOfSeat(uuid: string): Promise<readonly TrainingRecord[]>
    /** The Loop has acknowledged the status after this end: from now on the same order is a new training. */
    ackEnd(ended: Pick<TrainingRecord, 'id' | 'seat' | 'endedAt'>): Promise<void>
    /**
     * A host takes the training: raises the run, so that every older run is fenced off. Answers the record as those
     * have left it. Throws LF_TRAINING_ENDED or LF_TRAINING_UNKNOWN.
     */
    take(id: string, by: TakenBy): Promise<TakenTraining>
    /** `take` for who needs only the run. */
    beginRun(id: string, by: TakenBy): Promise<number>
    /**
     * Throws RunSupersededError when a newer run has begun or the training has ended, LF_RECORD_LOST when the record is
     * missing, of a lower run, or of another host in this very run.
     */
    checkRun(id: string, run: number, hostId?: string): Promise<void>
    /** What Redis has of a run that is at work: `newer` means that it must end. */
    compareRun(id: string, run: number, hostId?: string): Promise<RunInRedis>
    /** Writes what changed; with a run it is fenced, with null it is not. A `best` makes the run a useful one. */
    update(id: string, run: number | null, patch: Partial<TrainingProgressFields>): Promise<void>
    /** Notes a step as done; what changes with it, and what its job says last, is written in the same moment. */
    finishStep(
      id: string,
      run: number,
      stage: Stage,
      step: Omit<StepRecord, 'at'>,
      also?: { readonly patch?: Partial<TrainingProgressFields>; readonly job?: JobEnding },
    ): Promise<void>
    /** The run ends for no fault of its own (hand-back, Redis away): it does not count as fruitless. */
    excuseRun(id: string, run: number): Promise<void>
    /** Ends the training, which frees its seat; a second time it does nothing. */
    finish(
      id: string,
      run: number | null,
      end: { readonly outcome: TrainingOutcome; readonly errors?: Readonly<Record<string, string>> },
    ): Promise<void>
    /** Makes a failed training unfinished again, to go on from the step that failed. */
    reopen(id: string): Promise<Reopened>
    /** Hears the id of every training of which something the Loop sees has changed; after an outage of Redis those of all unfinished ones. */
    watch(onChange: (id: string) => void): Promise<Subscription>
  }

export type JournalOptions = {
  readonly keepLogSeconds?: number
}

export function createJournal(
  link: RedisLink,
  options: JournalOptions = {},
  deps: { readonly log?: Logger } = {},
): Journal {
  const { keepLogSeconds = 7 * 86_400 } = options
  const keys = journalKeys(link)
  const records = createRecordReader(link, keys, deps)

  async function write(id: string, run: number | null, use: 'useful' | 'excused' | '', pairs: readonly string[]) {
    const args = [id, keys.changes, run ?? '', use, ...pairs]
    throwUnlessOk(await UPDATE(link.client, [keys.training(id)], args), id, run)
  }

  async function mustLoad(id: string): Promise<TrainingRecord> {
    const record = await records.load(id)
    if (record === undefined) throw new TrainingUnknownError(id)
    return record
  }

  function parse(id: string, hash: readonly string[]): TrainingRecord {
    const record = parseTrainingRecord(keys.training(id), toObject(hash))
    if (record === undefined) throw new TrainingUnknownError(id)
    return record
  }

  async function take(id: string, { hostId, workerPid }: TakenBy): Promise<TakenTraining> {
    const args = [id, keys.changes, JSON.stringify(hostId), JSON.stringify(workerPid)]
    const [run, hash] = (await BEGIN_RUN(link.client, [keys.training(id)], args)) as [number | string, string[]?]
    if (run === 'ended') throw new TrainingEndedError(id)
    if (hash === undefined) throw new TrainingUnknownError(id)
    return { run: Number(run), before: parse(id, hash) }
  }

  async function compareRun(id: string, run: number, hostId?: string): Promise<RunInRedis> {
    const [current, endedAt, host] = await link.client.hmget(keys.training(id), 'run', 'endedAt', 'hostId')
    if (current === null || current === undefined) return { state: 'lost', found: null }
    const found = Number(current)
    if (found > run || (found === run && endedAt !== 'null')) return { state: 'newer', found }
    const isOfAnother = hostId !== undefined && host !== JSON.stringify(hostId)
    return { state: found < run || isOfAnother ? 'lost' : 'same', found }
  }

  return {
    ...records,
    ...createTrainingCurve(link, keys),
    ...createTrainingLog(link, keys, async (id) => (await link.client.hget(keys.training(id), 'endedAt')) !== 'null'),

    promptly: (work, options) => promptly(link, work, options),

    async accept({ order, trainer, seat }) {
      const id = newTrainingId()
      const answer = await ACCEPT(
        link.client,
        [keys.names, keys.seats, keys.all, keys.unfinished, keys.ids, keys.training(id)],
        [
          ...[trainingName(order), seat.uuid, keys.prefix, id, JSON.stringify(order), keys.changes],
          ...toHashPairs({ ...BLANK, ...BLANK_HEAD, id, trainer, seat }),
        ],
      )
      const [outcome, knownId, hash] = answer as [string, string, string[]?]
      const training = hash === undefined ? await mustLoad(knownId) : parse(knownId, hash)
      if (outcome === 'accepted' || outcome === 'same') return { outcome, training }
      const reason = outcome === 'busy' ? busySentence(training) : elsewhereSentence(training)
      return { outcome: 'refused', reason }
    },

    async unfinishedOfSeat(uuid) {
      const id = await link.client.hget(keys.seats, uuid)
      const record = id === null ? undefined : await records.load(id)
      return record?.endedAt === null ? record : undefined
    },
    async unackedEndsOfSeat(uuid) {
      const ids = await link.client.smembers(keys.ends(uuid))
      const ended = await Promise.all(ids.map(records.load))
      return ended.flatMap((record) => (record === undefined || record.endedAt === null ? [] : [record]))
    },
    async ackEnd({ id, seat, endedAt }) {
      await ACK_END(link.client, [keys.training(id), keys.ends(seat.uuid)], [id, JSON.stringify(endedAt)])
    },

    take,
    beginRun: async (id, by) => (await take(id, by)).run,

    compareRun,
    async checkRun(id, run, hostId) {
      const { state, found } = await compareRun(id, run, hostId)
      if (state === 'newer') throw new RunSupersededError({ trainingId: id, run })
      if (state === 'lost') throw new RecordLostError({ what: `training ${id}`, run, found })
    },

    async update(id, run, patch) {
      await write(id, run, patch.best ? 'useful' : '', toHashPairs(patch))
    },
    async finishStep(id, run, stage, step, { patch, job } = {}) {
      const pairs = toHashPairs({ ...patch, steps: { [stage]: { ...step, at: Date.now() } } })
      if (job === undefined) return await write(id, run, 'useful', pairs)
      const { key, progress, lines } = job
      const shown = [progress === undefined ? '' : JSON.stringify(progress), lines.length, ...lines]
      const touched = [keys.training(id), key, `${key}:logs`]
      const args = [id, keys.changes, run, 'useful', ...shown, ...pairs]
      throwUnlessOk(await FINISH_STEP(link.client, touched, args), id, run)
    },
    excuseRun: (id, run) => write(id, run, 'excused', []),

    async finish(id, run, { outcome, errors }) {
      const touched = [keys.training(id), keys.unfinished, keys.control, keys.log(id)]
      const pairs = toHashPairs(errors === undefined ? { outcome } : { outcome, errors })
      const args = [id, keys.changes, run ?? '', keepLogSeconds, keys.endsPrefix, ...pairs]
      const answer = await FINISH(link.client, touched, args)
      if (answer !== 'ended') throwUnlessOk(answer, id, run)
    },

    async reopen(id) {
      const touched = [keys.training(id), keys.names, keys.seats, keys.unfinished, keys.log(id)]
      const fresh = { endAckedAt: null, outcome: null, errors: {}, fruitlessRuns: 0, stopRequested: false }
      const args = [id, keys.changes, keys.prefix, keys.endsPrefix, ...toHashPairs(fresh)]
      const [answer, holderId = ''] = z.array(z.string()).parse(await REOPEN(link.client, touched, args))
      const training = await mustLoad(id)
      if (answer === 'ok') return { outcome: 'reopened', training }
      const why = z.enum(reopenRefusals).parse(answer)
      return { outcome: 'refused', reason: reopenSentence(training, { why, holder: await records.load(holderId) }) }
    },

    watch(onChange) {
      const tellAll = async () => {
        for (const id of await link.client.zrange(keys.unfinished, 0, '-1')) onChange(id)
      }
      const onReconnect = () => {
        tellAll().catch((error: unknown) => deps.log?.warn({ err: error }, 'unfinished trainings cannot be read'))
      }
      return link.subscribe(keys.changes, onChange, { onReconnect })
    },
  }
}

const BLANK_HEAD = {
  startedAt: null,
  endedAt: null,
  outcome: null,
  run: 0,
  hostId: null,
  fruitlessRuns: 0,
  stopRequested: false,
} as const satisfies Partial<TrainingRecord>

function toObject(hash: readonly string[]): Record<string, string> {
  const pairs = Array.from({ length: hash.length / 2 }, (_, index) => [hash[2 * index], hash[2 * index + 1]])
  return Object.fromEntries(pairs)
}

function throwUnlessOk(answer: unknown, id: string, run: number | null): void {
  if (answer === 'unknown' && run === null) throw new TrainingUnknownError(id)
  if (answer === 'unknown') throw new RecordLostError({ what: `training ${id}`, run: run ?? 0, found: null })
  if (/^\d+$/.test(String(answer))) {
    throw new RecordLostError({ what: `training ${id}`, run: run ?? 0, found: Number(answer) })
  }
  if (answer === 'superseded') throw new RunSupersededError({ trainingId: id, run: run ?? 0 })
}
