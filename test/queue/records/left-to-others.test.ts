import { expect } from 'chai'
import { createLeases } from '../../../src/queue/records/leases.js'
import { recordKeys } from '../../../src/queue/records/record-keys.js'
import { createRecords, type Records, type ReleaseOptions } from '../../../src/queue/records/records.js'
import { type RedisFixture, startRedisFixture } from '../redis-fixture.js'
import { claimAs, createSample, endLease, hostA, hostB, type SamplePayload, sampleTraining } from './sample-records.js'

describe('a record that a host has left to others', () => {
  let redis: RedisFixture
  let records: Records<SamplePayload>
  before(async () => {
    redis = await startRedisFixture()
  })
  after(() => redis.close())
  beforeEach(async () => {
    await redis.link.client.flushall()
    records = createRecords(redis.link, sampleTraining)
    await createSample(records, 't1')
  })

  const release = async (options: ReleaseOptions<SamplePayload>) =>
    records.release(await claimAs(records, 't1', hostA), options)
  const waiting = async () => (await records.waiting(['yolo'])).records.map(({ id, avoid }) => ({ id, avoid }))
  const overdue = () => redis.link.client.zadd(recordKeys(redis.link).avoided, 'XX', 1, 't1')

  it('names that host as long as it waits, and forgets it with the next claim', async () => {
    await release({ avoid: ['a'], avoidMs: 60_000 })
    expect(await waiting()).to.deep.equal([{ id: 't1', avoid: ['a'] }])

    await claimAs(records, 't1', hostB)
    await endLease(redis.link, 't1')
    await createLeases(redis.link, hostB).returnExpired()

    expect(await waiting()).to.deep.equal([{ id: 't1', avoid: [] }])
    expect(await redis.link.client.zcard(recordKeys(redis.link).avoided)).to.equal(0)
  })

  it('is offered to it, too, when the time is over, and everybody hears of that', async () => {
    await release({ avoid: ['a'], avoidMs: 60_000 })
    const leases = createLeases(redis.link, hostB)
    await leases.returnExpired()
    const before = await waiting()
    const version = (await records.load('t1'))?.version ?? 0

    await overdue()
    await leases.returnExpired()

    expect([before, await waiting()]).to.deep.equal([[{ id: 't1', avoid: ['a'] }], [{ id: 't1', avoid: [] }]])
    expect((await records.load('t1'))?.version).to.equal(version + 1)
  })

  it('stays left to others without a time', async () => {
    await release({ avoid: ['a'] })

    await createLeases(redis.link, hostB).returnExpired()

    expect(await waiting()).to.deep.equal([{ id: 't1', avoid: ['a'] }])
    expect(await redis.link.client.zcard(recordKeys(redis.link).avoided)).to.equal(0)
  })

  describe('twenty times within a day, since it could not do it', () => {
    beforeEach(async () => {
      for (let time = 0; time < 20; time += 1) await release({ isHandBack: true })
    })

    it('waits for a person, and is counted', async () => {
      expect(await waiting()).to.deep.equal([])
      expect(await records.load('t1')).to.include({ life: 'waiting', held: 'hand-backs' })
      expect(await records.countWaiting()).to.deep.equal({ yolo: 1 })
    })

    it('waits for hosts again when a person says so, and may be handed back as often again', async () => {
      expect(await records.resume('t1')).to.equal('ok')
      expect(await records.resume('t1')).to.equal('not-held')

      for (let time = 0; time < 19; time += 1) await release({ isHandBack: true })
      expect(await waiting()).to.deep.equal([{ id: 't1', avoid: [] }])
      expect(await records.load('t1')).to.include({ held: null })
    })

    it('ends by an abort as it does while it waits for hosts', async () => {
      const version = (await records.load('t1'))?.version ?? 0

      expect(await records.intend('t1', 'abort', 'test', { endIfWaiting: version })).to.equal('ended')

      expect(await records.countWaiting()).to.deep.equal({ yolo: 0 })
      expect(await records.resume('t1')).to.equal('not-held')
    })
  })

  it('is not held for what was handed back for other reasons, or longer ago', async () => {
    for (let time = 0; time < 25; time += 1) await release({})
    const long = Array.from({ length: 19 }, () => Date.now() - 2 * 86_400_000)
    await redis.link.client.hset(recordKeys(redis.link).record('t1'), 'handBacks', JSON.stringify(long))
    await release({ isHandBack: true })

    expect(await waiting()).to.deep.equal([{ id: 't1', avoid: [] }])
  })
})
