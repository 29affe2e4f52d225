import type { TrainingOrder } from '../../src/loop/protocol/index.js'

/** An order as a seat hands it to the journal. */
export function anOrder(change: Partial<TrainingOrder> = {}): TrainingOrder {
  return {
    dialect: 'current',
    organization: 'zauberzeug',
    project: 'shapes',
    trainingNumber: 1,
    categories: [],
    baseModel: { kind: 'none' },
    modelVariant: 'default',
    hyperparameters: { steps: 10 },
    ...change,
  }
}

export const seatA = { uuid: 'seat-a', name: 'Trainer A' }
export const seatB = { uuid: 'seat-b', name: 'Trainer B' }
export const hostA = { hostId: 'host-a', workerPid: 11 }
export const hostB = { hostId: 'host-b', workerPid: 22 }
