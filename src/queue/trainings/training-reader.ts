import type { Logger } from '../../base/logger/index.js'
import { recordKeys } from '../records/record-keys.js'
import type { Records } from '../records/records.js'
import type { RedisLink } from '../redis/index.js'
import { TrainingAmbiguousError } from './training-errors.js'
import { type TrainingPayload, toTraining, trainingDefinition } from './training-payload.js'
import type { TrainingRecord } from './training-record.js'
import type { TrainingReader } from './trainings-of-fleet.js'

/** Reads trainings; one that cannot be parsed is logged and left out of lists. */
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

type TrainingIndex = {
  /** The newest training of this name (organization/project#number). */
  idNamed(name: string): Promise<string | null>
  /** Ids with this prefix, sorted. */
  idsFrom(prefix: string, limit: number): Promise<readonly string[]>
}

const MAX_NAMED = 5

/** Finds the id of a training by id, unique prefix or name. Throws LF_TRAINING_AMBIGUOUS. */
async function findTrainingId(wanted: string, index: TrainingIndex): Promise<string | null> {
  if (wanted.includes('#')) return await index.idNamed(wanted)
  if (!/^[0-9a-z]+$/.test(wanted)) return null
  const ids = await index.idsFrom(wanted, MAX_NAMED)
  if (ids.length > 1 && ids[0] !== wanted) throw new TrainingAmbiguousError({ prefix: wanted, ids })
  return ids[0] ?? null
}

/** Keys of the indexes by name and by seat; the scripts compute the same keys. */
function trainingKeys(link: Pick<RedisLink, 'prefix'>) {
  const { base } = recordKeys(link)
  return {
    /** Hash: organization/project#number → id of the newest training of this name. */
    names: `${base}:training-names`,
    /** Hash: uuid of a seat → id of its newest training. */
    seats: `${base}:seat-trainings`,
    /** Set: trainings of a seat without an acknowledged end; unfinished ones are in it too. */
    unacked: (uuid: string) => `${base}:seat-unacked:${uuid}`,
  }
}
