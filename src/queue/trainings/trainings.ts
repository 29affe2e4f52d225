import type { Logger } from '../../base/logger/index.js'
import type { Queues } from '../jobs/queues.js'
import { returnSilent } from '../records/leases.js'
import { PROTOCOL } from '../records/protocol.js'
import { recordKeys } from '../records/record-keys.js'
import { createRecords, type Records } from '../records/records.js'
import { createTrainingLog } from '../records/training-log.js'
import { promptly, type RedisLink } from '../redis/index.js'
import { migrateTrainings } from './migrate-trainings.js'
import { createTrainingCurve } from './training-curve.js'
import { TrainingUnknownError } from './training-errors.js'
import { createTrainingOrders } from './training-orders.js'
import { type TrainingPayload, trainingDefinition } from './training-payload.js'
import { createTrainingReader } from './training-reader.js'
import type { TrainingControl, TrainingsOfFleet } from './trainings-of-fleet.js'
import { watchTrainings } from './watch-trainings.js'

/** The trainings of the fleet: a thin module on their records, with the rules of seats and of repeated orders. */
export type Trainings = TrainingsOfFleet &
  TrainingControl & {
    /** The records, for the host that claims and writes them. */
    readonly records: Records<TrainingPayload>
    /** Returns records with expired leases to the queue, of trainings and conversions; for parts that are no host. */
    returnSilent(): Promise<void>
    /** Migrates the data of builds that had no records, once. */
    migrate(queues: Pick<Queues, 'names' | 'destroy'>): Promise<void>
  }

export type TrainingsOptions = {
  /** Protocol number of the records that are read and written; that of this build by default. */
  readonly protocol?: number
}

export function createTrainings(
  link: RedisLink,
  options: TrainingsOptions,
  { log }: { readonly log: Logger },
): Trainings {
  const { protocol = PROTOCOL } = options
  const keys = recordKeys(link)
  const records = createRecords(link, trainingDefinition, { protocol })
  const reader = createTrainingReader(link, records, { log })
  const orders = createTrainingOrders(link, reader.load, { protocol })

  async function hasEnded(id: string): Promise<boolean> {
    const life = await link.client.hget(keys.record(id), 'life')
    return life === null || life === 'ended'
  }

  return {
    ...reader,
    ...orders,
    async retry(id) {
      if ((await records.resume(id)) !== 'ok') return await orders.reopen(id) // a record that waits is offered to hosts
      const training = await reader.load(id)
      if (training === undefined) throw new TrainingUnknownError(id)
      return { outcome: 'reopened', training }
    },
    ...createTrainingControl(link, records),
    ...createTrainingLog(link, keys, hasEnded),
    ...createTrainingCurve(link, keys),
    records,
    async returnSilent() {
      const ids = await returnSilent(link)
      if (ids.length > 0) log.warn({ records: ids }, 'records of silent hosts wait again')
    },
    migrate: (queues) => migrateTrainings(link, queues, { log }),
    promptly: (work, options) => promptly(link, work, options),
    watch(onChange) {
      const unfinished = () => link.client.zrange(keys.open(trainingDefinition.kind), 0, '-1')
      return watchTrainings(onChange, { link, unfinished, log })
    },
  }
}

/** How trainings are stopped and aborted from anywhere in the fleet. */
function createTrainingControl(
  link: RedisLink,
  records: Records<TrainingPayload>,
): Pick<TrainingControl, 'request' | 'requestWithoutRecord'> {
  const keys = recordKeys(link)
  return {
    async request(id, kind, by) {
      for (;;) {
        // Only these fields are read, so that a record of a newer version can be ended too.
        const fields = ['kind', 'version', 'data:best', 'data:facts:device'] as const
        const [ofKind, version, best, device] = await link.client.hmget(keys.record(id), ...fields)
        if (ofKind !== trainingDefinition.kind) throw new TrainingUnknownError(id)
        // A host has to upload the model of a stopped training. After its program ran, the model may be in a shared checkpoint.
        const needsHost = kind === 'stop' && (best !== 'null' || device !== null)
        const outcome = await records.intend(id, kind, by, needsHost ? {} : { endIfWaiting: Number(version) })
        if (outcome !== 'changed' && outcome !== 'unknown') return outcome
      }
    },
    async requestWithoutRecord(id, kind, by) {
      // The record may be back.
      if ((await records.intend(id, kind, by)) !== 'asked') await records.intendLost(id, kind, by)
    },
  }
}
