import { expect } from 'chai'
import type { TrainerNode } from '../../src/nodes/trainer/trainer-node.js'
import type { MetricsJob } from '../../src/queue/jobs/job-schemas.js'
import { queueNames } from '../../src/queue/jobs/names.js'
import { recordKeys } from '../../src/queue/records/record-keys.js'
import { until } from '../helpers/until.js'
import { hostA } from '../queue/orders.js'
import { ORGANIZATION, PROJECT, UUID_A, useSeats } from './seats-fixture.js'

describe('a seat', () => {
  const seats = useSeats()

  describe('passes metrics on', () => {
    const matrix = { tp: 3, fp: 1, fn: 0 }

    let node: TrainerNode

    async function aPoint(): Promise<MetricsJob> {
      node = await seats.startNode({ heartbeatMs: 50 })
      await seats.order()
      const { id, order: taken } = await seats.unfinished()
      const run = await seats.trainings.beginRun(id, hostA)
      const category = taken.categories[0]?.id ?? ''
      const counts = { trainImageCount: 1, testImageCount: 1, hyperparameters: { resolution: 640 } }
      const point = { confusionMatrix: { [category]: matrix }, epoch: 4, ...counts }
      const seat = { uuid: UUID_A, name: 'Seat A' }
      return { trainingId: id, run, seat, organization: ORGANIZATION, project: PROJECT, sequence: 1, point }
    }
    const send = (job: MetricsJob, backOff = { firstMs: 20, maxMs: 50 }, id = 'm1') =>
      seats.redis.queues.runJob(queueNames.node(UUID_A), 'sync-metrics', job, { id, backOff })

    it('and says done when the Loop has acked them', async () => {
      const job = await aPoint()

      expect(await send(job)).to.deep.equal({ acked: true })

      const [training] = seats.loop.trainings()
      expect(training?.points).to.have.lengthOf(1)
      expect(training?.points[0]).to.deep.include({ confusion_matrix: job.point.confusionMatrix, best_epoch: 4 })
    })

    it('again when the Loop refused them', async () => {
      const job = await aPoint()
      seats.loop.addFault({ match: { event: 'update_training' }, kind: 'status', body: 'not now', times: 2 })

      await send(job)

      expect(seats.loop.effects({ kind: 'metrics' })).to.have.lengthOf(1)
    })

    it('not for a run that is superseded', async () => {
      const job = await aPoint()
      await seats.trainings.beginRun(job.trainingId, hostA)

      await until('it was refused', async () => {
        await send(job).catch(() => undefined)
        return (await seats.redis.queues.job(queueNames.node(UUID_A), 'm1'))?.state === 'failed'
      })

      expect(seats.loop.effects({ kind: 'metrics' })).to.have.lengthOf(0)
    })

    describe('of a record that Redis has lost', () => {
      const keyOf = (job: MetricsJob) => recordKeys(seats.redis.link).record(job.trainingId)
      const lose = (job: MetricsJob) => seats.redis.link.client.rename(keyOf(job), 'lost')
      const stateOf = async (id: string) => (await seats.redis.queues.job(queueNames.node(UUID_A), id))?.state
      const failed = (sent: Promise<unknown>) => sent.then(() => undefined, String)

      it('when the record is back', async () => {
        const job = await aPoint()
        await lose(job)
        const sent = send(job)
        await until('the seat has it', async () => (await stateOf('m1')) === 'active')

        await seats.redis.link.client.rename('lost', keyOf(job))

        expect(await sent).to.deep.equal({ acked: true })
      })

      it('not after an abort, and those of the next training do not wait', async () => {
        const job = await aPoint()
        await lose(job)
        const sent = failed(send(job))
        await until('the Loop sees it', () => JSON.stringify(seats.shown()?.errors).includes('without the record'))
        const [training] = seats.loop.trainings()

        await seats.loop.abortTraining(ORGANIZATION, PROJECT, training?.number ?? 0)
        expect(await sent).to.contain('without the record')
        await seats.settled('idle')
        await seats.order()
        const next = await seats.unfinished()
        const run = await seats.trainings.beginRun(next.id, hostA)

        expect(await send({ ...job, trainingId: next.id, run }, undefined, 'm2')).to.deep.equal({ acked: true })
      })

      it('not in the next life of the node, which does not know the training', async () => {
        const job = await aPoint()
        await node.stop()
        await lose(job)
        const sent = failed(send(job))

        await seats.startAgain()

        expect(await sent).to.contain('without the record')
        expect(seats.loop.effects({ kind: 'metrics' })).to.have.lengthOf(0)
      })
    })

    it('in its next life when the Loop is away and the node goes down', async () => {
      const job = await aPoint()
      const outage = seats.loop.addFault({ match: { event: 'connect' }, kind: 'refuse' })
      seats.loop.dropSockets()
      await until('it is away', () => seats.shown()?.connected === false)
      const sent = send(job)
      const state = async () => (await seats.redis.queues.job(queueNames.node(UUID_A), 'm1'))?.state
      await until('the seat has it', async () => (await state()) === 'active')

      await node.stop()
      expect(await state()).to.equal('waiting')
      seats.loop.clearFaults(outage.id)
      await seats.startAgain()

      expect(await sent).to.deep.equal({ acked: true })
    })
  })
})
