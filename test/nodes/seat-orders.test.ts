import { expect } from 'chai'
import { answerSchema } from '../../src/loop/protocol/index.js'
import type { TrainingRequest } from '../../src/mock/loop/index.js'
import { until } from '../helpers/until.js'
import { hostA } from '../queue/orders.js'
import { ORGANIZATION, PROJECT, UUID_A, UUID_B, useSeats } from './seats-fixture.js'

describe('a seat', () => {
  const seats = useSeats()

  describe('that is given an order', () => {
    it('acks when Redis has the training and its job, and shows it', async () => {
      await seats.startNode()

      const { number, ack } = await seats.order()

      expect(ack).to.deep.equal({ success: true, error_msg: null, payload: null })
      const record = await seats.unfinished()
      expect(record).to.include({ trainer: 'quick', state: 'initialized' })
      expect(record.order).to.include({ organization: ORGANIZATION, project: PROJECT, trainingNumber: number })
      expect(record.life).to.equal('waiting')
      await seats.settled('initialized')
    })

    for (const [what, request, field] of [
      ['a wrong category', { dialect: 'current', config: { categories: [{ id: 7, name: 'x', type: 'box' }] } }, 'id'],
      ['no number', { config: { training_number: 'seven' } }, 'training_number'],
      ['no categories', { config: { categories: null } }, 'categories'],
      ['broken hyperparameters', { dialect: 'current', config: { hyperparameters: 5 } }, 'hyperparameters'],
      ['a resolution that is none', { dialect: '0.8', config: { resolution: 'big' } }, 'resolution'],
      ['an empty base model', { dialect: '0.8', config: { id: '' } }, 'id'],
    ] as const) {
      it(`refuses one with ${what} by an envelope that names the field`, async () => {
        await seats.startNode()

        const { ack } = await seats.order(request as TrainingRequest)

        expect(ack).to.include({ success: false, payload: null })
        expect(ack.error_msg)
          .to.match(/^begin_training: /)
          .and.include(field)
        expect(await seats.trainings.count()).to.equal(0)
      })
    }

    it('refuses another one while it is busy, and says with what', async () => {
      await seats.startNode()
      const { number } = await seats.order({ trainer: UUID_A })

      const { ack } = await seats.order({ trainer: UUID_A })

      expect(ack).to.include({ success: false, payload: 'refused' })
      expect(ack.error_msg).to.include('"Seat A" is busy').and.include(`${ORGANIZATION}/${PROJECT}#${number}`)
      expect(await seats.trainings.count()).to.equal(1)
    })

    it('refuses one within seconds while Redis takes no writes, with the reason, and leaves nothing of it behind', async () => {
      const { client } = seats.redis.link
      await seats.startNode()
      await client.config('SET', 'maxmemory', '1')
      const begunAt = performance.now()

      const { ack } = await seats.order().finally(() => client.config('SET', 'maxmemory', '0'))

      expect(performance.now() - begunAt).to.be.below(8_000)
      expect(ack).to.include({ success: false })
      expect(ack.error_msg).to.include('takes no writes: its memory is full; raise maxmemory')
      expect(await seats.trainings.count()).to.equal(0)
      expect((await seats.order()).ack).to.include({ success: true })
    })

    it('acks the same order again without another training', async () => {
      await seats.startNode()
      const { number } = await seats.order()
      const { id } = await seats.unfinished()

      const { ack } = await seats.order({ training_number: number })

      expect(ack.success).to.equal(true)
      expect((await seats.unfinished()).id).to.equal(id)
      expect(await seats.trainings.countWaiting()).to.deep.equal({ quick: 1 })
    })

    it('takes it as a new one when the Loop has acknowledged its end, however soon', async () => {
      await seats.startNode()
      const { number } = await seats.order()
      const { id } = await seats.unfinished()
      await seats.trainings.finish(id, null, { outcome: 'completed' })
      await until('the end is acknowledged', async () => (await seats.trainings.load(id))?.endAckedAt !== null)

      const { ack } = await seats.order({ training_number: number })

      expect(ack.success).to.equal(true)
      const again = await seats.unfinished()
      expect(again.id).not.to.equal(id)
      expect(again.life).to.equal('waiting')
    })

    it('refuses one that another seat has, naming the holder', async () => {
      await seats.startNode({ seats: 2 })
      const { number } = await seats.order({ trainer: UUID_A })

      const { ack } = await seats.order({ trainer: UUID_B, training_number: number })

      expect(ack.success).to.equal(false)
      expect(ack.error_msg).to.include('Seat A').and.include(UUID_A)
    })

    it('takes one of its own beside a busy seat', async () => {
      await seats.startNode({ seats: 2 })
      await seats.order({ trainer: UUID_A })

      const { ack } = await seats.order({ trainer: UUID_B })

      expect(ack.success).to.equal(true)
      expect((await seats.unfinished(UUID_B)).seat.name).to.equal('Seat B')
    })
  })

  describe('that is asked to end its training', () => {
    for (const kind of ['stop', 'abort'] as const) {
      const ask = (number: number) =>
        kind === 'stop'
          ? seats.loop.stopTraining(ORGANIZATION, PROJECT, number)
          : seats.loop.abortTraining(ORGANIZATION, PROJECT, number)

      it(`acks the request to ${kind} as soon as it is durable, whether or not a worker has heard of it`, async () => {
        await seats.startNode()
        const { number } = await seats.order()
        const { id } = await seats.unfinished()
        const run = await seats.trainings.beginRun(id, hostA)
        await seats.trainings.update(id, run, { state: 'running', best: { epoch: 1 } })

        const { ack } = await ask(number)

        expect(answerSchema.parse(ack).success).to.equal(true)
        expect(await seats.trainings.pending(id)).to.equal(kind)
        expect((await seats.unfinished()).stopRequested).to.equal(true)
      })

      it(`ends a training that waits for a host immediately on ${kind}`, async () => {
        await seats.startNode()
        const { number } = await seats.order()
        const { id } = await seats.unfinished()

        const { ack } = await ask(number)

        expect(answerSchema.parse(ack).success).to.equal(true)
        expect((await seats.trainings.load(id))?.outcome).to.equal('aborted')
        await seats.settled('idle')
      })
    }

    it('acks a stop also when it has none', async () => {
      await seats.startNode()
      const { number } = await seats.order()
      const { id } = await seats.unfinished()
      seats.loop.addFault({ match: { event: 'update_trainer' }, kind: 'delay', delayMs: 1000 })
      await seats.trainings.finish(id, null, { outcome: 'completed' })

      const { ack } = await seats.loop.stopTraining(ORGANIZATION, PROJECT, number)

      expect(answerSchema.parse(ack).success).to.equal(true)
    })
  })
})
