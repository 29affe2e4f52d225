import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { KEPT_CHANGES } from '../records/lua-records.js'
import { parseRecord, toHash, toPayloadPairs } from '../records/record-hash.js'
import { checkRecordName, recordKeys } from '../records/record-keys.js'
import type { RedisLink } from '../redis/index.js'
import { TrainingUnknownError } from './training-errors.js'
import { toTraining, trainingDefinition } from './training-payload.js'
import { type TrainingRecord, trainingName } from './training-record.js'
import {
  busySentence,
  elsewhereSentence,
  NEW_TRAINING,
  newTrainingId,
  reopenRefusals,
  reopenSentence,
} from './training-rules.js'
import { ACCEPT, ACK_END, REOPEN } from './training-scripts.js'
import type { Reopened, TrainingOrders } from './trainings-of-fleet.js'

const acceptedSchema = z.union([
  z.tuple([z.literal('accepted'), z.string(), z.array(z.string())]),
  z.tuple([z.enum(['same', 'elsewhere', 'busy']), z.string()]),
])
const reopenedSchema = z.union([
  z.tuple([z.enum(['ok', 'unknown', ...reopenRefusals])]),
  z.tuple([z.enum(reopenRefusals), z.string()]),
])
/** An order requires no GPUs by itself: only the hosts that serve the trainer know how many it needs. */
export const ANY_HOST = JSON.stringify({ gpus: 0 })

/** Orders and retries. A seat has at most one unfinished training; the same order again is the same training. */
export function createTrainingOrders(
  link: RedisLink,
  load: (id: string) => Promise<TrainingRecord | undefined>,
  { protocol }: { readonly protocol: number },
): TrainingOrders & { reopen(id: string): Promise<Reopened> } {
  const keys = recordKeys(link)

  async function mustLoad(id: string): Promise<TrainingRecord> {
    const training = await load(id)
    if (training === undefined) throw new TrainingUnknownError(id)
    return training
  }

  function parse(id: string, flat: readonly string[]): TrainingRecord {
    const record = parseRecord(keys.record(id), toHash(flat), trainingDefinition, protocol)
    if (record === undefined) throw new TrainingUnknownError(id)
    return toTraining(record)
  }

  return {
    async accept({ order, trainer, seat }) {
      const id = newTrainingId()
      const head = [KEPT_CHANGES, id, trainingName(order), seat.uuid, checkRecordName(trainer), ANY_HOST, protocol]
      const pairs = toPayloadPairs({ ...NEW_TRAINING, seat }, trainingDefinition)
      const answer = await ACCEPT(link.client, [keys.base], [...head, JSON.stringify(order), ...pairs])
      const [outcome, knownId, flat] = acceptedSchema.parse(answer)
      const training = flat === undefined ? await mustLoad(knownId) : parse(knownId, flat)
      if (outcome === 'accepted' || outcome === 'same') return { outcome, training }
      const reason = outcome === 'busy' ? busySentence(training) : elsewhereSentence(training)
      return { outcome: 'refused', reason }
    },

    async ackEnd({ id, seat, endedAt }) {
      await ACK_END(link.client, [keys.base], [KEPT_CHANGES, id, seat.uuid, endedAt ?? ''])
    },

    async reopen(id): Promise<Reopened> {
      const { order, seat } = await mustLoad(id)
      const resetFields = toPayloadPairs({ endAckedAt: null, errors: {}, failedAttempts: [] }, trainingDefinition)
      const args = [KEPT_CHANGES, id, trainingName(order), seat.uuid, randomUUID(), ...resetFields]
      const [answer, holderId] = reopenedSchema.parse(await REOPEN(link.client, [keys.base], args))
      const training = await mustLoad(id)
      if (answer === 'unknown') throw new TrainingUnknownError(id)
      if (answer === 'ok') return { outcome: 'reopened', training }
      const holder = holderId === undefined ? undefined : await load(holderId)
      return { outcome: 'refused', reason: reopenSentence(training, { why: answer, holder }) }
    },
  }
}
