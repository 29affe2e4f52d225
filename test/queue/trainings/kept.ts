import { randomUUID } from 'node:crypto'
import { silentLogger } from '../../../src/base/logger/logger.js'
import type { Stage } from '../../../src/queue/jobs/names.js'
import type { Claim } from '../../../src/queue/records/leases.js'
import { recordKeys } from '../../../src/queue/records/record-keys.js'
import type { IntentKind } from '../../../src/queue/records/record-schema.js'
import type {
  TrainingOutcome,
  TrainingProgressFields,
  TrainingRecord,
} from '../../../src/queue/trainings/training-record.js'
import { createTrainings, type Trainings } from '../../../src/queue/trainings/trainings.js'
import { anOrder, seatA } from '../orders.js'
import { claimAs, endLease } from '../records/sample-records.js'
import type { RedisFixture } from '../redis-fixture.js'

type Errors = Readonly<Record<string, string>>

/** Trainings as the fleet sees them, and what a host does to them. */
export type Kept = {
  readonly trainings: Trainings
  /** Takes it, also from a host that is dead; answers the run. */
  take(id: string, host: string): Promise<number>
  update(id: string, patch: Partial<TrainingProgressFields>): Promise<void>
  finishStep(id: string, result?: unknown, stage?: Stage): Promise<void>
  handBack(id: string): Promise<void>
  finish(id: string, outcome: TrainingOutcome, errors?: Errors): Promise<void>
  readonly keys: { record(id: string): string; log(id: string): string; readonly ids: string }
}

/** Accepts an order that differs from `anOrder()` by `change`; fails when it is refused. */
export async function accepted({ trainings }: Kept, change = {}, seat = seatA): Promise<TrainingRecord> {
  const answer = await trainings.accept({ order: anOrder(change), trainer: 'shapes', seat })
  if (answer.outcome === 'refused') throw new Error(answer.reason)
  return answer.training
}

/** Plays the host of trainings. */
export function keepTrainings({ link }: Pick<RedisFixture, 'link'>): Kept {
  const trainings = createTrainings(link, {}, { log: silentLogger() })
  const { records } = trainings
  const keys = recordKeys(link)
  const claims = new Map<string, Claim>()

  async function claim(id: string, host: string): Promise<Claim> {
    const incarnation = randomUUID() // another life of the host each time
    const made = await claimAs(records, id, { host, incarnation, leaseMs: 30_000 })
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
    async finishStep(id, result = null, stage = 'train') {
      const step = { hostId: 'a', seconds: 1, result, at: 1 }
      await records.update(await claimOf(id), { steps: { [stage]: step } }, 'useful')
    },
    async handBack(id) {
      await records.release(await claimOf(id))
      claims.delete(id)
    },
    async finish(id, outcome, errors) {
      await records.finish(await claimOf(id), outcome, errors && { errors })
      claims.delete(id)
    },
    keys: { record: keys.record, log: keys.log, ids: keys.ids('training') },
  }
}

/** Trainings, with a host that is played by run numbers. */
export type PlayedTrainings = Trainings & {
  beginRun(id: string, by: { readonly hostId: string }): Promise<number>
  update(id: string, run: number | null, patch: Partial<TrainingProgressFields>): Promise<void>
  finish(
    id: string,
    run: number | null,
    end: { readonly outcome: TrainingOutcome; readonly errors?: Errors },
  ): Promise<void>
  handBack(id: string): Promise<void>
  /** What was asked for and is not obeyed yet. */
  pending(id: string): Promise<IntentKind | null>
}

export function playTrainings(redis: Pick<RedisFixture, 'link'>): PlayedTrainings {
  const kept = keepTrainings(redis)
  const { records } = kept.trainings
  return {
    ...kept.trainings,
    handBack: kept.handBack,
    beginRun: (id, { hostId }) => kept.take(id, hostId),
    update: (id, run, patch) => (run === null ? records.amend(id, patch) : kept.update(id, patch)),
    finish: (id, _run, { outcome, errors }) => kept.finish(id, outcome, errors),
    pending: async (id) => (await records.load(id))?.intent?.kind ?? null,
  }
}
