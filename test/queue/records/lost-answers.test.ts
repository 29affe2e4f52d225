import { expect } from 'chai'
import { silentLogger } from '../../../src/base/logger/logger.js'
import { createLeases } from '../../../src/queue/records/leases.js'
import { createRecords, type Records } from '../../../src/queue/records/records.js'
import { openRedis, type RedisLink } from '../../../src/queue/redis/open-redis.js'
import { type RedisFixture, startRedisFixture } from '../redis-fixture.js'
import { type RedisGate, startRedisGate } from '../redis-gate.js'
import { claimAs, createSample, hostA, hostB, type SamplePayload, sampleTraining, tryClaim } from './sample-records.js'

/** Redis has done what it was asked, the connection breaks before it can say so, and the driver asks again. */
describe('a script whose answer was lost with its connection', () => {
  let redis: RedisFixture
  let gate: RedisGate
  let link: RedisLink
  /** Through the gate. */
  let records: Records<SamplePayload>
  /** Beside it. */
  let seen: Records<SamplePayload>
  let losesNext = false
  before(async () => {
    redis = await startRedisFixture()
    gate = await startRedisGate(redis.server.url, (answer) => {
      if (!losesNext) return answer
      losesNext = false
      gate.cut()
      return Buffer.alloc(0)
    })
    link = await openRedis(gate.url, { log: silentLogger() })
  })
  after(async () => {
    await link.close()
    await gate.close()
    await redis.close()
  })
  beforeEach(async () => {
    await redis.link.client.flushall()
    records = createRecords(link, sampleTraining)
    seen = createRecords(redis.link, sampleTraining)
    await createSample(records, 't1')
  })

  // Called once before, so that the script itself is known to Redis.
  async function twice<T>(warmUp: () => Promise<unknown>, work: () => Promise<T>): Promise<T> {
    await warmUp().catch(() => undefined)
    losesNext = true
    const answer = await work()
    expect(losesNext, 'an answer was lost').to.equal(false)
    return answer
  }

  const whatHappened = async () => (await seen.history('t1')).map(({ what }) => what)

  it('that claims gives the host its claim, once', async () => {
    const answer = await twice(
      () => records.claim({ id: 'gone', version: 1 }, hostA),
      () => records.claim({ id: 't1', version: 1 }, hostA),
    )

    expect(answer.outcome === 'claimed' && answer.claim).to.include({ id: 't1', run: 1, incarnation: 'a1' })
    expect(await whatHappened()).to.deep.equal(['created', 'claimed'])
    expect(await tryClaim(seen, 't1', hostB)).to.deep.equal({ outcome: 'taken' })
  })

  it('that makes a record, renews, or asks for an end has done so once', async () => {
    const claim = await claimAs(seen, 't1', hostA)
    const leases = createLeases(link, hostA)

    const created = await twice(
      () => createSample(records, 't1'),
      () => records.create({ ...other, id: 't2' }),
    )
    const renewed = await twice(
      () => leases.renew([]),
      () => leases.renew([claim]),
    )
    const asked = await twice(
      () => records.intend('gone', 'stop', 'x'),
      () => records.intend('t1', 'stop', 'loop'),
    )

    expect([created, renewed.records[0]?.outcome, asked]).to.deep.equal(['exists', 'held', 'asked'])
    expect(await seen.count()).to.equal(2)
    expect(await whatHappened()).to.deep.equal(['created', 'claimed', 'stop'])
  })

  it('that writes, or counts a failure, has done so once', async () => {
    const claim = await claimAs(seen, 't1', hostA)

    await twice(
      () => records.update(claim, {}),
      () => records.update(claim, { progress: 0.5 }, { failure: 'train 1' }),
    )

    const record = await seen.load('t1')
    expect(record).to.deep.include({ failures: 1, version: 3 })
    expect(record?.payload.progress).to.equal(0.5)
  })

  it('that ends the record, or hands it back, is no error for the host', async () => {
    const claim = await claimAs(seen, 't1', hostA)
    await twice(
      () => records.release({ ...claim, id: 'gone' }),
      () => records.release(claim),
    )
    const next = await claimAs(seen, 't1', hostA)

    await twice(
      () => records.finish({ ...claim, id: 'gone' }, 'x'),
      () => records.finish(next, 'completed'),
    )

    expect(await whatHappened()).to.deep.equal(['created', 'claimed', 'released', 'claimed', 'ended'])
  })

  it('that reopens or removes the record is answered', async () => {
    await seen.finish(await claimAs(seen, 't1', hostA), 'failed')
    const { version = 0 } = (await seen.load('t1')) ?? {}
    const reopened = await twice(
      () => records.reopen({ id: 'gone', version }),
      () => records.reopen({ id: 't1', version }),
    )
    const claim = await claimAs(seen, 't1', hostB)
    const removed = await twice(
      () => records.remove({ id: 'gone' }),
      () => records.remove(claim),
    )

    expect([reopened, removed]).to.deep.equal(['ok', 'unknown'])
    expect(await seen.load('t1')).to.equal(undefined)
  })
})

const other = { name: 'yolo', payload: { order: 'acme/pets#2', progress: null, steps: {} } }
