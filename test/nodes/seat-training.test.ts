import { expect } from 'chai'
import { silentLogger } from '../../src/base/logger/logger.js'
import { createSeatTraining } from '../../src/nodes/trainer/seat-training.js'
import type { TrainingRecord } from '../../src/queue/trainings/training-record.js'
import { seatA } from '../queue/orders.js'
import { aRecord } from '../workers/a-training.js'

describe('the training of a seat', () => {
  function aSeat(inRedis: TrainingRecord | undefined) {
    const trainings = {
      unfinishedOfSeat: async () => inRedis,
      unackedEndsOfSeat: async () => [],
      load: async () => inRedis,
    }
    return createSeatTraining(seatA, { trainings, log: silentLogger() })
  }

  it('is missed if its record is lost before it was read for the first time', async () => {
    const seat = aSeat(undefined)
    seat.accepted(aRecord())

    const { training, lost } = await seat.read()

    expect(lost).to.include('came back without the record of training training1')
    expect(training?.errors.prepare).to.equal(lost)
  })

  it('is not missed if it had ended when the same order came again', async () => {
    const seat = aSeat(undefined)
    seat.accepted(aRecord({ endedAt: 1 }))

    expect(await seat.read()).to.deep.include({ training: undefined, lost: undefined })
  })
})
