import { expect } from 'chai'
import { createLeases, type Leases, returnSilent } from '../../../src/queue/records/leases.js'
import { recordKeys } from '../../../src/queue/records/record-keys.js'
import { createRecords, type Records } from '../../../src/queue/records/records.js'
import { until } from '../../helpers/until.js'
import { type RedisFixture, startRedisFixture } from '../redis-fixture.js'
import {
  claimAs,
  createSample,
  hostA,
  hostB,
  jumpClock,
  leaseLeft,
  type SamplePayload,
  sampleTraining,
  tryClaim,
} from './sample-records.js'

describe('the lease of a record, by the clock of Redis,', () => {
  let redis: RedisFixture
  let records: Records<SamplePayload>
  let ofA: Leases
  let ofB: Leases
  before(async () => {
    redis = await startRedisFixture()
  })
  after(() => redis.close())
  beforeEach(async () => {
    await redis.link.client.flushall()
    records = createRecords(redis.link, sampleTraining)
    ofA = createLeases(redis.link, hostA)
    ofB = createLeases(redis.link, hostB)
    await createSample(records, 't1')
  })

  describe('when the clock of Redis', () => {
    for (const [title, byMs] of [
      ['goes back by an hour', -3_600_000],
      ['goes back by a second', -1_000],
      ['goes ahead by an hour', 3_600_000],
      ['goes ahead by just over half a lease', 15_500],
      ['goes ahead by ten years', 315_360_000_000],
    ] as const) {
      it(`${title}, becomes the time plus its length, and no record is returned`, async () => {
        await claimAs(records, 't1', hostA)
        await ofB.renew([])
        await jumpClock(redis.link, byMs)

        expect(await ofB.returnExpired()).to.deep.equal([])

        expect(await leaseLeft(redis.link, 't1')).to.be.within(28_000, 30_000)
        expect((await ofB.renew([])).granted).to.equal(null)
      })
    }

    it('goes ahead by less than half a lease, is as it was', async () => {
      await claimAs(records, 't1', hostA)
      await ofB.renew([])
      await jumpClock(redis.link, 10_000)

      expect((await ofB.renew([])).granted).to.equal(null)
      expect(await leaseLeft(redis.link, 't1')).to.be.within(18_000, 20_000)
    })

    it('jumps, is as long as its own host wants it, whichever host finds the jump', async () => {
      await claimAs(records, 't1', { ...hostA, leaseMs: 120_000 })
      await ofB.renew([])
      await jumpClock(redis.link, -7_200_000)

      expect((await ofB.renew([])).granted).to.equal('time')
      expect(await leaseLeft(redis.link, 't1')).to.be.within(118_000, 120_000)
    })

    it('has gone back, still runs out for a host that is dead', async () => {
      const brief = { ...hostB, leaseMs: 500 }
      await claimAs(records, 't1', { ...hostA, leaseMs: 500 })
      await jumpClock(redis.link, -3_600_000)
      const watcher = createLeases(redis.link, brief)

      await until('the record waits again', async () => (await watcher.returnExpired()).includes('t1'))
    })

    it('jumps while a host claims, is granted to the others as well', async () => {
      await createSample(records, 't2')
      await claimAs(records, 't1', hostA)
      await jumpClock(redis.link, 3_600_000)

      expect((await claimAs(records, 't2', hostB)).run).to.equal(1)
      expect(await tryClaim(records, 't1', hostB)).to.deep.equal({ outcome: 'taken' })
    })
  })

  describe('when no host lives any more', () => {
    const claimed = async () => (await records.load('t1'))?.life === 'claimed'
    beforeEach(async () => {
      await claimAs(records, 't1', hostA)
      await ofA.renew([])
    })

    it('is returned by an observer that comes often, when it has run out', async () => {
      await jumpClock(redis.link, 14_000)
      expect(await returnSilent(redis.link)).to.deep.equal([])
      await jumpClock(redis.link, 14_000)
      expect(await returnSilent(redis.link), 'cut off for less than the lease').to.deep.equal([])
      await jumpClock(redis.link, 4_000)

      expect(await returnSilent(redis.link)).to.deep.equal(['t1'])
      expect(await claimed()).to.equal(false)
    })

    it('is granted again by an observer that comes after a gap, and returned when it has run out since', async () => {
      await jumpClock(redis.link, 3_600_000)
      expect(await returnSilent(redis.link), 'the clock may have jumped').to.deep.equal([])
      expect(await leaseLeft(redis.link, 't1')).to.be.within(28_000, 30_000)
      await jumpClock(redis.link, 28_000)
      expect(await returnSilent(redis.link)).to.deep.equal([])
      await jumpClock(redis.link, 3_600_000)

      expect(await returnSilent(redis.link)).to.deep.equal(['t1'])
    })

    it('stays if a host renews between two observers that come seldom', async () => {
      await jumpClock(redis.link, 3_600_000)
      await returnSilent(redis.link)
      await ofB.renew([])
      await jumpClock(redis.link, 3_600_000)

      expect(await returnSilent(redis.link)).to.deep.equal([])
      expect(await leaseLeft(redis.link, 't1')).to.be.within(28_000, 30_000)
    })

    it('is granted again when the clock goes back between two observers', async () => {
      await jumpClock(redis.link, 3_600_000)
      await returnSilent(redis.link)
      await jumpClock(redis.link, -7_200_000)

      expect(await returnSilent(redis.link)).to.deep.equal([])
      expect(await leaseLeft(redis.link, 't1')).to.be.within(28_000, 30_000)
    })

    it('is granted again when the server is another one', async () => {
      await redis.link.client.hset(recordKeys(redis.link).clock, 'server', 'another')

      expect(await returnSilent(redis.link)).to.deep.equal([])
      await jumpClock(redis.link, 31_000)
      expect(await returnSilent(redis.link)).to.deep.equal(['t1'])
    })

    it('ends the record that somebody has aborted', async () => {
      await records.intend('t1', 'abort', 'test')
      await jumpClock(redis.link, 3_600_000)
      await returnSilent(redis.link)
      await jumpClock(redis.link, 31_000)

      await returnSilent(redis.link)

      expect(await records.load('t1')).to.include({ life: 'ended', outcome: 'aborted' })
    })
  })
})
