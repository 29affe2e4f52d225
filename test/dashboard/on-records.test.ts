import { expect } from 'chai'
import { z } from 'zod'
import { silentLogger } from '../../src/base/logger/logger.js'
import { createDashboard, type Dashboard } from '../../src/dashboard/dashboard.js'
import { createConversions } from '../../src/queue/conversions/conversions.js'
import { createFleet } from '../../src/queue/fleet/fleet.js'
import { createTrainings, type Trainings } from '../../src/queue/trainings/trainings.js'
import { anOrder, seatA, seatB } from '../queue/orders.js'
import { claimAs, hostA } from '../queue/records/sample-records.js'
import { type RedisFixture, startRedisFixture } from '../queue/redis-fixture.js'

const log = silentLogger()

describe('the dashboard of trainings', () => {
  let redis: RedisFixture
  let trainings: Trainings
  let dashboard: Dashboard
  let url: string
  before(async () => {
    redis = await startRedisFixture()
    const { link, queues } = redis
    trainings = createTrainings(link, {}, { log })
    const parts = { link, queues, log, conversions: createConversions(link, {}, { log }), fleet: createFleet(link) }
    dashboard = createDashboard({ port: 0 }, { ...parts, trainings })
    url = await dashboard.listen()
  })
  after(async () => {
    await dashboard.close()
    await redis.close()
  })

  const accept = async (trainingNumber: number, seat = seatA) => {
    const answer = await trainings.accept({ order: anOrder({ trainingNumber }), trainer: 'shapes', seat })
    if (answer.outcome === 'refused') throw new Error(answer.reason)
    return answer.training.id
  }
  const call = async (path: string, method = 'GET') => (await fetch(`${url}${path}`, { method })).json()

  it('shows which wait, counts them by trainer, and ends and retries them', async () => {
    const waiting = await accept(1)
    const handedBack = await accept(2, seatB)
    await trainings.records.release(await claimAs(trainings.records, handedBack, hostA))
    const claimed = await accept(3, { uuid: 'seat-c', name: 'Trainer C' })
    const claim = await claimAs(trainings.records, claimed, hostA)

    const fleet = pageSchema.parse(await call('/api/trainings'))
    const metrics = await (await fetch(`${url}/metrics`)).text()

    expect(fleet).to.deep.include({ total: 3, unfinished: 3, waitingByTrainer: { shapes: 2 } })
    const shown = fleet.trainings.map(({ id, isWaiting }) => [id, isWaiting])
    expect(Object.fromEntries(shown)).to.deep.equal({ [waiting]: true, [handedBack]: true, [claimed]: false })
    expect(metrics).to.include('loopfleet_trainings_waiting{trainer="shapes"} 2')
    expect(await call(`/api/trainings/${waiting}/abort`, 'POST')).to.include({ outcome: 'ended' })
    expect(await call(`/api/trainings/${claimed}/stop`, 'POST')).to.include({ outcome: 'asked' })
    await trainings.records.finish(claim, 'failed')
    expect(await call(`/api/trainings/${claimed}/retry`, 'POST')).to.include({ outcome: 'reopened' })
  })
})

const pageSchema = z.object({
  total: z.number(),
  unfinished: z.number(),
  waitingByTrainer: z.record(z.string(), z.number()),
  trainings: z.array(z.object({ id: z.string(), isWaiting: z.boolean() })),
})
