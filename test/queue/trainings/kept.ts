import { silentLogger } from '../../../src/base/logger.js'
import { createControl } from '../../../src/queue/control.js'
import { createJournal } from '../../../src/queue/journal.js'
import { createQueueTraining, type QueueTraining } from '../../../src/queue/queue-training.js'
import type { Claim } from '../../../src/queue/records/leases.js'
import { recordKeys } from '../../../src/queue/records/record-keys.js'
import type { TrainingOutcome, TrainingProgressFields, TrainingRecord } from '../../../src/queue/training-record.js'
import { createTrainings, type TrainingControl, type TrainingsOfFleet } from '../../../src/queue/trainings/trainings.js'
import { anOrder, seatA } from '../orders.js'
import { claimAs, endLease } from '../records/sample-records.js'
import type { RedisFixture } from '../redis-fixture.js'

type Errors = Readonly<Record<string, string>>

/** Trainings as the fleet sees them, and what a host does to them, however they are kept. */
export type Kept = {
  readonly trainings: TrainingsOfFleet & TrainingControl
  readonly queueTraining?: QueueTraining
  /** Takes it, also from a host that is dead; answers the run. */
  take(id: string, host: string): Promise<number>
  update(id: string, patch: Partial<TrainingProgressFields>): Promise<void>
  finishStep(id: string): Promise<void>
  handBack(id: string): Promise<void>
  finish(id: string, outcome: TrainingOutcome, errors?: Errors): Promise<void>
  readonly keys: { record(id: string): string; log(id: string): string; readonly ids: string }
}

export type KeepTrainings = (redis: Pick<RedisFixture, 'link' | 'queues'>) => Kept

/** The two ways, for tests of what is the same in both. */
export const waysOfKeeping: readonly { readonly title: string; readonly keep: KeepTrainings }[] = [
  { title: 'in the journal', keep: keepInJournal },
  { title: 'on records', keep: keepOnRecords },
]

/** Accepts an order that differs from `anOrder()` by `change`; fails when it is refused. */
export async function accepted({ trainings }: Kept, change = {}, seat = seatA): Promise<TrainingRecord> {
  const answer = await trainings.accept({ order: anOrder(change), trainer: 'shapes', seat })
  if (answer.outcome === 'refused') throw new Error(answer.reason)
  return answer.training
}

export function keepInJournal({ link, queues }: Parameters<KeepTrainings>[0]): Kept {
  const journal = createJournal(link)
  const control = createControl(link, journal, queues)
  const runs = new Map<string, number>()
  const runOf = (id: string) => runs.get(id) ?? 0
  return {
    trainings: { ...journal, ...control, watch: journal.watch },
    queueTraining: createQueueTraining(queues),
    async take(id, host) {
      const run = await journal.beginRun(id, { hostId: host, workerPid: 1 })
      runs.set(id, run)
      return run
    },
    update: (id, patch) => journal.update(id, runOf(id), patch),
    finishStep: (id) => journal.finishStep(id, runOf(id), 'train', { hostId: 'a', seconds: 1, result: null }),
    handBack: (id) => journal.excuseRun(id, runOf(id)),
    finish: (id, outcome, errors) => journal.finish(id, null, { outcome, ...(errors && { errors }) }),
    keys: {
      record: (id) => `${link.prefix}:training:${id}`,
      log: (id) => `${link.prefix}:log:${id}`,
      ids: `${link.prefix}:training-ids`,
    },
  }
}

export function keepOnRecords({ link }: Parameters<KeepTrainings>[0]): Kept {
  const trainings = createTrainings(link, {}, { log: silentLogger() })
  const { records } = trainings
  const keys = recordKeys(link)
  const claims = new Map<string, Claim>()

  async function claim(id: string, host: string): Promise<Claim> {
    const made = await claimAs(records, id, { host, incarnation: `${host}-1`, leaseMs: 30_000 })
    claims.set(id, made)
    return made
  }

  const claimOf = async (id: string) => claims.get(id) ?? (await claim(id, 'host-a'))
  return {
    trainings,
    async take(id, host) {
      await endLease(link, id)
      return (await claim(id, host)).run
    },
    update: async (id, patch) => await records.update(await claimOf(id), patch),
    async finishStep(id) {
      const train = { hostId: 'a', seconds: 1, result: null, at: 1 }
      await records.update(await claimOf(id), { steps: { train } }, 'useful')
    },
    async handBack(id) {
      await records.release(await claimOf(id))
      claims.delete(id)
    },
    async finish(id, outcome, errors) {
      await records.finish(await claimOf(id), outcome, errors && { errors })
      await trainings.expireLog(id)
      claims.delete(id)
    },
    keys: { record: keys.record, log: keys.log, ids: keys.ids('training') },
  }
}
