import { expect } from 'chai'
import { silentLogger } from '../../src/base/logger/logger.js'
import { answerSchema } from '../../src/loop/protocol/index.js'
import { createLeases } from '../../src/queue/records/leases.js'
import { createTrainings, type Trainings } from '../../src/queue/trainings/trainings.js'
import { until } from '../helpers/until.js'
import { claimAs, hostA } from '../queue/records/sample-records.js'
import { ORGANIZATION, PROJECT, useSeats } from './seats-fixture.js'

describe('a seat whose training is a record', () => {
  const seats = useSeats()
  let trainings: Trainings
  beforeEach(() => {
    trainings = createTrainings(seats.redis.link, {}, { log: silentLogger() })
  })

  it('offers an order to hosts with its record alone, and is busy after a restart', async () => {
    const first = await seats.startNode()
    await seats.order()
    const { id } = await seats.unfinished()

    expect((await trainings.records.waiting(['quick'])).records.map((record) => record.id)).to.deep.equal([id])
    expect(await seats.redis.queues.names()).to.not.include('trainings.quick')
    await first.stop()
    await seats.startAgain()
    await seats.settled('initialized')
  })

  it('asks the host that has its training to end it, and shows the end when the Loop has acknowledged it', async () => {
    await seats.startNode()
    const { number } = await seats.order()
    const { id } = await seats.unfinished()
    const claim = await claimAs(trainings.records, id, hostA)

    const { ack } = await seats.loop.abortTraining(ORGANIZATION, PROJECT, number)

    expect(answerSchema.parse(ack).success).to.equal(true)
    expect((await trainings.records.load(id))?.intent).to.include({ kind: 'abort', by: 'loop' })
    await trainings.records.finish(claim, 'aborted')
    await seats.settled('idle')
    await until('the end is acknowledged', async () => (await trainings.load(id))?.endAckedAt !== null)
  })

  it('asks the host to end a training whose record Redis has lost', async () => {
    await seats.startNode({ heartbeatMs: 50 })
    const { number } = await seats.order()
    const { id } = await seats.unfinished()
    const claim = await claimAs(trainings.records, id, hostA)
    await until('the seat knows of the claim', () => seats.shown()?.state === 'initialized')
    await seats.redis.link.client.flushall()
    await until('the Loop sees that the record is lost', () =>
      Object.values(seats.shown()?.errors ?? {}).some((text) => text.includes('came back without the record')),
    )

    const { ack } = await seats.loop.abortTraining(ORGANIZATION, PROJECT, number)

    expect(answerSchema.parse(ack).success).to.equal(true)
    const [renewed] = (await createLeases(seats.redis.link, hostA).renew([claim])).records
    expect(renewed).to.include({ outcome: 'lost' })
    expect(renewed?.intent).to.include({ kind: 'abort', by: 'loop' })
    await seats.settled('idle')
  })
})
