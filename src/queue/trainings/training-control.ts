import { recordKeys } from '../records/record-keys.js'
import type { Records } from '../records/records.js'
import type { RedisLink } from '../redis/index.js'
import { TrainingUnknownError } from './training-errors.js'
import { type TrainingPayload, trainingDefinition } from './training-payload.js'
import type { TrainingControl } from './trainings-of-fleet.js'

/** How trainings are stopped and aborted from anywhere in the fleet. */
export function createTrainingControl(
  link: RedisLink,
  records: Records<TrainingPayload>,
): Pick<TrainingControl, 'request' | 'requestWithoutRecord'> {
  const keys = recordKeys(link)
  return {
    async request(id, kind, by) {
      for (;;) {
        // Read in part, so that also one of a newer version can be ended.
        const fields = ['kind', 'version', 'data:best', 'data:facts:device'] as const
        const [ofKind, version, best, device] = await link.client.hmget(keys.record(id), ...fields)
        if (ofKind !== trainingDefinition.kind) throw new TrainingUnknownError(id)
        // One that has a model still has to upload it: that is for a host. Once its program ran, one may be in a shared checkpoint.
        const needsHost = kind === 'stop' && (best !== 'null' || device !== null)
        const outcome = await records.intend(id, kind, by, needsHost ? {} : { endIfWaiting: Number(version) })
        if (outcome !== 'changed' && outcome !== 'unknown') return outcome
      }
    },
    async requestWithoutRecord(id, kind, by) {
      // It may be there again.
      if ((await records.intend(id, kind, by)) !== 'asked') await records.intendLost(id, kind, by)
    },
  }
}
