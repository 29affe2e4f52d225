import type { Logger } from '../base/logger.js'
import type { Journal } from '../queue/journal.js'
import { queueNames } from '../queue/names.js'
import type { Queues } from '../queue/queues.js'
import type { WorkerOptions } from './worker-options.js'

export type TakeUpDeps = { readonly queues: Queues; readonly journal: Journal; readonly log: Logger }

/**
 * Releases the trainings of the worker that died on this host. The caller holds the lock of the data folder, so nobody
 * works on them, and their own locks need not run out first.
 */
export async function takeUpFromPredecessor(
  { hostId, trainers }: Pick<WorkerOptions, 'hostId' | 'trainers'>,
  { queues, journal, log }: TakeUpDeps,
): Promise<void> {
  for (const trainer of trainers) {
    const queue = queueNames.trainings(trainer.name)
    const ids = (await queues.jobs(queue, ['active'], {})).map((job) => job.id)
    const records = await Promise.all(ids.map((id) => journal.load(id)))
    const ours = records.filter((record) => record?.hostId === hostId).map((record) => record?.id ?? '')
    if (ours.length > 0) log.warn({ trainings: ours }, 'taking up the trainings of a worker that died')
    await queues.releaseHeldBy(queue, ours)
  }
}
