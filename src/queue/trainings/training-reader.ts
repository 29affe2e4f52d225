import type { Logger } from '../../base/logger/index.js'
import { recordKeys } from '../records/record-keys.js'
import type { Records } from '../records/records.js'
import type { RedisLink } from '../redis/index.js'
import { findTrainingId } from './find-training.js'
import { trainingKeys } from './training-keys.js'
import { type TrainingPayload, toTraining, trainingDefinition } from './training-payload.js'
import type { TrainingRecord } from './training-record.js'
import type { TrainingReader } from './trainings-of-fleet.js'

/** Trainings as other rooms read them; one that cannot be read does not hide the others. */
export function createTrainingReader(
  { client, prefix }: Pick<RedisLink, 'client' | 'prefix'>,
  records: Records<TrainingPayload>,
  { log }: { readonly log: Logger },
): TrainingReader {
  const keys = { ...recordKeys({ prefix }), ...trainingKeys({ prefix }) }

  async function load(id: string): Promise<TrainingRecord | undefined> {
    const record = await records.load(id)
    return record && toTraining(record)
  }

  async function loadSafely(id: string): Promise<TrainingRecord | undefined> {
    return await load(id).catch((error: unknown) => {
      log.warn({ err: error, trainingId: id }, 'record of a training unreadable')
      return undefined
    })
  }

  return {
    load,
    async find(wanted) {
      const idNamed = (name: string) => client.hget(keys.names, name)
      const id = await findTrainingId(wanted, { idNamed, idsFrom: records.idsFrom })
      return id === null ? undefined : await load(id)
    },
    async list({ limit, offset, unfinishedOnly = false } = {}) {
      const page = { ...(limit !== undefined && { limit }), ...(offset !== undefined && { offset }) }
      const found = await records.list({ ...page, of: unfinishedOnly ? 'open' : 'all' })
      for (const { id, problem } of found.unreadable)
        log.warn({ trainingId: id, problem }, 'record of a training unreadable')
      return found.records.map(toTraining)
    },
    count: ({ unfinishedOnly = false } = {}) => records.count({ of: unfinishedOnly ? 'open' : 'all' }),
    countWaiting: records.countWaiting,

    async unfinishedOfSeat(uuid) {
      const id = await client.hget(keys.seats, uuid)
      const training = id === null ? undefined : await load(id)
      return training?.endedAt === null ? training : undefined
    },
    async unackedEndsOfSeat(uuid) {
      const found = await Promise.all((await client.smembers(keys.unacked(uuid))).map(loadSafely))
      return found.filter((training) => training !== undefined).filter(({ endedAt }) => endedAt !== null)
    },

    async compareRun(id, run, hostId) {
      const [kind, current, life, host] = await client.hmget(keys.record(id), 'kind', 'run', 'life', 'host')
      if (kind !== trainingDefinition.kind) return { state: 'lost', found: null }
      const found = Number(current)
      if (found > run || (found === run && life === 'ended')) return { state: 'newer', found }
      const isOfAnother = hostId !== undefined && host !== hostId
      return { state: found < run || isOfAnother ? 'lost' : 'same', found }
    },
  }
}
