import { queueNames } from './names.js'
import type { Queues } from './queues.js'
import type { TrainingRecord } from './training-record.js'

/** Offers a training of the journal to hosts; nothing happens when it is offered already. On records it is offered by itself. */
export type QueueTraining = (training: Pick<TrainingRecord, 'id' | 'trainer'>) => Promise<void>

export function createQueueTraining(queues: Pick<Queues, 'add'>): QueueTraining {
  return ({ id, trainer }) => queues.add(queueNames.trainings(trainer), 'training', { trainingId: id }, { id })
}
