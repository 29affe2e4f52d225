import type { Logger } from '../base/logger.js'
import type { JournalKeys } from './journal-keys.js'
import type { RedisLink } from './open-redis.js'
import { parseTrainingRecord, type TrainingRecord } from './training-record.js'
import { findTrainingId } from './trainings/find-training.js'
import { isWaiting } from './waiting.js'

export type RecordReader = {
  load(id: string): Promise<TrainingRecord | undefined>
  /** By id, by the unique beginning of one (else LF_TRAINING_AMBIGUOUS), or by organization/project#number. */
  find(idOrPrefixOrName: string): Promise<TrainingRecord | undefined>
  /** The newest first. */
  list(options?: {
    readonly limit?: number
    readonly offset?: number
    readonly unfinishedOnly?: boolean
  }): Promise<readonly TrainingRecord[]>
  count(options?: { readonly unfinishedOnly?: boolean }): Promise<number>
  /** How many wait for a host, by trainer. */
  countWaiting(): Promise<Readonly<Record<string, number>>>
}

/** Reads records; a list passes over one that is broken, since it must not hide the rest. */
export function createRecordReader(link: RedisLink, keys: JournalKeys, deps: { readonly log?: Logger }): RecordReader {
  async function load(id: string): Promise<TrainingRecord | undefined> {
    const key = keys.training(id)
    return parseTrainingRecord(key, await link.client.hgetall(key))
  }

  async function loadSafely(id: string): Promise<TrainingRecord | undefined> {
    try {
      return await load(id)
    } catch (error) {
      deps.log?.warn({ err: error, trainingId: id }, 'a record cannot be read')
      return undefined
    }
  }

  async function find(wanted: string): Promise<TrainingRecord | undefined> {
    const id = await findTrainingId(wanted, {
      idNamed: (name) => link.client.hget(keys.names, name),
      idsFrom: (prefix, limit) => link.client.zrangebylex(keys.ids, `[${prefix}`, `[${prefix}~`, 'LIMIT', 0, limit),
    })
    return id === null ? undefined : await load(id)
  }

  const list: RecordReader['list'] = async ({ limit = 100, offset = 0, unfinishedOnly = false } = {}) => {
    const index = unfinishedOnly ? keys.unfinished : keys.all
    const ids = limit > 0 ? await link.client.zrevrange(index, offset, offset + limit - 1) : []
    const records = await Promise.all(ids.map(loadSafely))
    return records.filter((record) => record !== undefined)
  }

  return {
    load,
    find,
    list,
    async countWaiting() {
      const counts = new Map<string, number>()
      // A seat has one at most, so there are rarely more.
      const unfinished = await list({ limit: 1_000, unfinishedOnly: true })
      for (const { trainer } of unfinished.filter(isWaiting)) counts.set(trainer, (counts.get(trainer) ?? 0) + 1)
      return Object.fromEntries(counts)
    },
    count: ({ unfinishedOnly = false } = {}) => link.client.zcard(unfinishedOnly ? keys.unfinished : keys.all),
  }
}
