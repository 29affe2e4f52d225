import { expect } from 'chai'
import { silentLogger } from '../../../src/base/logger/logger.js'
import { openRedis, type RedisLink } from '../../../src/queue/redis/open-redis.js'
import { createTrainings, type Trainings } from '../../../src/queue/trainings/trainings.js'
import { anOrder, seatA } from '../orders.js'
import { claimAs, hostA } from '../records/sample-records.js'
import { type RedisFixture, startRedisFixture } from '../redis-fixture.js'
import { type RedisGate, startRedisGate } from '../redis-gate.js'

const log = silentLogger()
const order = { order: anOrder(), trainer: 'shapes', seat: seatA }

describe('a script on trainings whose answer was lost with its connection', () => {
  let redis: RedisFixture
  let gate: RedisGate
  let link: RedisLink
  /** Through the gate. */
  let trainings: Trainings
  /** Beside it. */
  let seen: Trainings
  /** How many answers come before the one that is lost; undefined when none is. */
  let losesAfter: number | undefined
  before(async () => {
    redis = await startRedisFixture()
    gate = await startRedisGate(redis.server.url, (answer) => {
      if (losesAfter === undefined) return answer
      losesAfter -= 1
      if (losesAfter >= 0) return answer
      losesAfter = undefined
      gate.cut()
      return Buffer.alloc(0)
    })
    link = await openRedis(gate.url, { log })
  })
  after(async () => {
    await link.close()
    await gate.close()
    await redis.close()
  })
  beforeEach(async () => {
    await redis.link.client.flushall()
    trainings = createTrainings(link, {}, { log })
    seen = createTrainings(redis.link, {}, { log })
  })

  // Each call was made before, so that its script is known to Redis and its answer is the next one but so many.
  async function losing<T>(after: number, work: () => Promise<T>): Promise<T> {
    losesAfter = after
    const answer = await work()
    expect(losesAfter, 'an answer was lost').to.equal(undefined)
    return answer
  }

  const accept = async () => {
    const answer = await trainings.accept(order)
    if (answer.outcome === 'refused') throw new Error(answer.reason)
    return answer
  }
  const whatHappened = async (id: string) => (await seen.records.history(id)).map(({ what }) => what)
  const fail = async (id: string) => seen.records.finish(await claimAs(seen.records, id, hostA), 'failed')

  it('that accepts an order has made one training, which is new to its caller', async () => {
    const { training: first } = await accept()
    await fail(first.id)
    for (const ended of await seen.unackedEndsOfSeat(seatA.uuid)) await seen.ackEnd(ended)

    const { outcome, training } = await losing(0, accept)

    expect(outcome).to.equal('accepted')
    expect(await whatHappened(training.id)).to.deep.equal(['created'])
    expect(await seen.count()).to.equal(2)
  })

  it('that retries has done so once', async () => {
    const { training } = await accept()
    const { id } = training
    await fail(id)
    await trainings.retry(id)
    await fail(id)

    const answer = await losing(1, () => trainings.retry(id)) // the first answer is the record

    expect(answer).to.have.property('outcome', 'reopened')
    expect((await whatHappened(id)).filter((what) => what === 'reopened')).to.have.lengthOf(2)
  })

  it('that aborts answers that it has ended the training', async () => {
    const { training: first } = await accept()
    await trainings.request(first.id, 'abort', 'cli')
    for (const ended of await seen.unackedEndsOfSeat(seatA.uuid)) await seen.ackEnd(ended)
    const { training } = await accept()

    const outcome = await losing(1, () => trainings.request(training.id, 'abort', 'cli'))

    expect(outcome).to.equal('ended')
    expect(await whatHappened(training.id)).to.deep.equal(['created', 'abort', 'ended'])
  })

  it('that acknowledges an end keeps when it was first acknowledged', async () => {
    const { training } = await accept()
    await fail(training.id)
    const [ended] = await seen.unackedEndsOfSeat(seatA.uuid)
    if (ended === undefined) throw new Error('It has not ended.')
    await trainings.ackEnd({ ...ended, endedAt: 1 })

    await losing(0, () => trainings.ackEnd(ended))

    expect((await seen.load(training.id))?.endAckedAt).to.be.above(0)
    expect(await seen.unackedEndsOfSeat(seatA.uuid)).to.deep.equal([])
  })
})
