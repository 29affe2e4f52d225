import { expect } from 'chai'
import {
  type Claim,
  type Claimant,
  createLeases,
  type Leases,
  returnSilent,
} from '../../../src/queue/records/leases.js'
import { recordKeys } from '../../../src/queue/records/record-keys.js'
import { createRecords, type Records } from '../../../src/queue/records/records.js'
import { createTrainingLog } from '../../../src/queue/records/training-log.js'
import { rejection } from '../../helpers/rejection.js'
import { until } from '../../helpers/until.js'
import { type RedisFixture, startRedisFixture } from '../redis-fixture.js'
import {
  claimAs,
  createSample,
  endLease,
  hostA,
  hostB,
  jumpClock,
  leaseLeft,
  type SamplePayload,
  sampleTraining,
  tryClaim,
} from './sample-records.js'

describe('the lease of a record', () => {
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

  const mustLoad = async (id: string) => {
    const record = await records.load(id)
    if (record === undefined) throw new Error(`no ${id}`)
    return record
  }
  const renewed = async (leases: Leases, ...held: readonly Claim[]) =>
    (await leases.renew(held)).records.map(({ outcome }) => outcome)
  const whatHappened = async () => (await records.history('t1')).map(({ what }) => what)

  describe('that is renewed', () => {
    it('goes on for its whole length, all of a host in one step', async () => {
      await createSample(records, 't2')
      const held = [await claimAs(records, 't1', hostA), await claimAs(records, 't2', hostA)]
      for (const { id } of held) await redis.link.client.zincrby(recordKeys(redis.link).leases, -20_000, id)

      expect(await renewed(ofA, ...held)).to.deep.equal(['held', 'held'])

      expect(await leaseLeft(redis.link, 't1')).to.be.within(29_000, 30_000)
      expect(await leaseLeft(redis.link, 't2')).to.be.within(29_000, 30_000)
    })

    it('is no change of the record, so that nobody is notified of it', async () => {
      const claim = await claimAs(records, 't1', hostA)
      const before = await redis.link.client.xlen(recordKeys(redis.link).changes)
      await ofA.renew([claim])

      expect(await redis.link.client.xlen(recordKeys(redis.link).changes)).to.equal(before)
      expect((await records.load('t1'))?.version).to.equal(2)
    })

    it('brings the wish to end the record', async () => {
      const claim = await claimAs(records, 't1', hostA)
      await records.intend('t1', 'stop', 'loop')

      expect((await ofA.renew([claim])).records[0]?.intent).to.deep.include({ kind: 'stop', by: 'loop' })
    })

    it('after it has run out goes on under the same run, if nobody has claimed the record since', async () => {
      const claim = await claimAs(records, 't1', hostA)
      await endLease(redis.link, 't1')
      expect(await ofB.returnExpired()).to.deep.equal(['t1'])
      expect(await records.load('t1')).to.include({ life: 'waiting', run: 1 })

      expect(await renewed(ofA, claim)).to.deep.equal(['regained'])

      await records.update(claim, { progress: 0.5 })
      expect(await tryClaim(records, 't1', hostB)).to.deep.equal({ outcome: 'taken' })
      expect((await records.waiting(['yolo'])).records).to.deep.equal([])
    })

    it('by a host whose record another one has claimed, has ended or has been removed says so', async () => {
      const claim = await claimAs(records, 't1', hostA)
      await endLease(redis.link, 't1')
      const second = await claimAs(records, 't1', hostB)
      expect(await renewed(ofA, claim)).to.deep.equal(['superseded'])
      expect(await renewed(ofB, second)).to.deep.equal(['held'])

      await records.finish(second, 'completed')
      expect(await renewed(ofB, second)).to.deep.equal(['ended'])

      await records.remove({ id: 't1' })
      expect(await renewed(ofB, second)).to.deep.equal(['lost'])
    })

    it('by a host that has handed the record back does not take it again', async () => {
      const claim = await claimAs(records, 't1', hostA)
      await records.release(claim)

      expect(await renewed(ofA, claim)).to.deep.equal(['superseded'])
      expect(await records.load('t1')).to.include({ life: 'waiting' })
    })
  })

  describe('that has run out', () => {
    it('lets the record wait again by any host, in bounded steps', async () => {
      await createSample(records, 't2')
      for (const id of ['t1', 't2']) await claimAs(records, id, hostA)
      for (const id of ['t1', 't2']) await endLease(redis.link, id)

      expect(await ofB.returnExpired({ limit: 1 })).to.deep.equal(['t1'])
      expect(await ofB.returnExpired({ limit: 10 })).to.deep.equal(['t2'])
      expect(await ofB.returnExpired()).to.deep.equal([])
      expect((await records.waiting(['yolo'])).records.map(({ id }) => id)).to.deep.equal(['t1', 't2'])
      expect(await whatHappened()).to.deep.equal(['created', 'claimed', 'expired'])
    })

    it('is found by the clock of Redis, without anybody who moves it', async () => {
      const brief = { ...hostA, leaseMs: 500 }
      const watcher = createLeases(redis.link, { ...hostB, leaseMs: 500 })
      await claimAs(records, 't1', brief)

      expect(await watcher.returnExpired()).to.deep.equal([])
      await until('the lease has run out', async () => (await watcher.returnExpired()).includes('t1'))
    })

    it('again and again while its owner renews leaves the record with the owner, if nobody claims it', async () => {
      const claim = await claimAs(records, 't1', hostA)
      const rounds = Array.from({ length: 50 }, async () => {
        await endLease(redis.link, 't1')
        await Promise.all([ofA.renew([claim]), ofB.returnExpired()])
      })
      await Promise.all(rounds)

      await ofA.renew([claim])

      const happened = await whatHappened()
      const countOf = (what: string) => happened.filter((each) => each === what).length
      expect(await records.load('t1')).to.include({ life: 'claimed', host: 'a', run: 1 })
      expect(countOf('regained')).to.equal(countOf('expired'))
      expect((await records.waiting(['yolo'])).records).to.deep.equal([])
    })

    it('of a record that was deleted by hand is forgotten', async () => {
      await claimAs(records, 't1', hostA)
      await redis.link.client.del(recordKeys(redis.link).record('t1'))
      await endLease(redis.link, 't1')

      expect(await ofB.returnExpired()).to.deep.equal([])
      expect(await redis.link.client.zcard(recordKeys(redis.link).leases)).to.equal(0)
    })
  })

  it('of an earlier life of a host is given up when its worker starts again, and of no other host', async () => {
    await createSample(records, 't2')
    const old = await claimAs(records, 't1', hostA)
    await claimAs(records, 't2', hostB)
    const next = createLeases(redis.link, { ...hostA, incarnation: 'a2' })

    expect(await next.takeBack()).to.deep.equal(['t1'])

    const answer = await tryClaim(records, 't1', { ...hostA, incarnation: 'a2' })
    expect(answer).to.include({ outcome: 'claimed', fruitlessRuns: 1 })
    expect(await rejection(records.check(old))).to.include({ code: 'LF_RUN_SUPERSEDED' })
    expect(await renewed(ofA, old)).to.deep.equal(['superseded'])
    expect(await next.takeBack()).to.deep.equal([])
  })

  describe('that ends while somebody wants the record to be aborted', () => {
    const ways: readonly [string, (claim: Claim) => Promise<unknown>][] = [
      ['by running out', async () => [await endLease(redis.link, 't1'), await ofB.returnExpired()]],
      [
        'as another host would claim it',
        async () => [await endLease(redis.link, 't1'), await tryClaim(records, 't1', hostB)],
      ],
      ['as its host hands it back', (claim) => records.release(claim)],
      ['as its host hands it back for a while', (claim) => records.release(claim, { pauseMs: 60_000 })],
      [
        'as the next life of its host takes it back',
        () => createLeases(redis.link, { ...hostA, incarnation: 'next' }).takeBack(),
      ],
    ]
    for (const [title, end] of ways) {
      it(`${title}, ends the record, which waits for no host`, async () => {
        const claim = await claimAs(records, 't1', hostA)
        await records.intend('t1', 'abort', 'loop')

        await end(claim)

        expect(await records.load('t1')).to.include({ life: 'ended', outcome: 'aborted', intent: null })
        expect((await records.waiting(['yolo'])).records).to.deep.equal([])
        expect(await renewed(ofA, claim)).to.deep.equal(['ended'])
        expect(await records.reopen({ id: 't1', version: (await records.load('t1'))?.version ?? 0 })).to.equal('ok')
        expect(await records.load('t1')).to.include({ life: 'waiting', outcome: null })
      })
    }

    it('leaves one that is only to be stopped to the next host, which may have to upload its model', async () => {
      await claimAs(records, 't1', hostA)
      await records.intend('t1', 'stop', 'loop')
      await endLease(redis.link, 't1')

      expect(await ofB.returnExpired()).to.deep.equal(['t1'])
      expect((await records.load('t1'))?.intent).to.include({ kind: 'stop' })
    })
  })

  it('that runs out ends a record that was to be aborted, whose log is kept for a week', async () => {
    const log = createTrainingLog(redis.link, recordKeys(redis.link), async () => true)
    await claimAs(records, 't1', hostA)
    await log.appendLog('t1', 'epoch 1\n')
    await records.intend('t1', 'abort', 'test')
    await endLease(redis.link, 't1')

    await ofB.returnExpired()

    expect(await records.load('t1')).to.include({ life: 'ended', outcome: 'aborted' })
    expect(await redis.link.client.ttl(recordKeys(redis.link).log('t1'))).to.be.within(604_000, 604_800)
    await redis.link.client.persist(recordKeys(redis.link).log('t1'))
    await log.appendLog('t1', 'the host is there again\n')
    expect(await redis.link.client.ttl(recordKeys(redis.link).log('t1'))).to.be.within(604_000, 604_800)
  })

  it('leaves no trace of an observer where no host has ever been', async () => {
    await redis.link.client.flushall()

    expect(await returnSilent(redis.link)).to.deep.equal([])

    expect(await redis.link.client.keys('*')).to.deep.equal([])
  })

  it('is granted for no reason by the first host of a fleet that was off and had no records', async () => {
    await ofA.renew([])
    await jumpClock(redis.link, 86_400_000)

    expect((await ofB.renew([])).granted).to.equal(null)
  })

  it('that ran out says why its record was offered, as every other end of a claim does', async () => {
    const offered = async (by: Claimant) => {
      const answer = await tryClaim(records, 't1', by)
      return answer.outcome === 'claimed' ? answer.offered : answer.outcome
    }
    expect(await offered(hostA)).to.equal('created')
    expect(await offered(hostA), 'asked again').to.equal('created')

    await endLease(redis.link, 't1')
    expect(await offered(hostB)).to.equal('expired')

    const nextLife = { ...hostB, incarnation: 'b2' }
    await createLeases(redis.link, nextLife).takeBack()
    await records.intend('t1', 'stop', 'test')
    expect(await offered(nextLife)).to.equal('taken-back')

    const claim = { id: 't1', run: 3, incarnation: 'b2', born: (await records.load('t1'))?.born ?? '' }
    await records.update(claim, {}, { failure: 'f1' })
    await records.release(claim)
    expect(await offered(hostA)).to.equal('released')

    await records.finish({ ...claim, run: 4, incarnation: 'a1' }, 'failed')
    await records.reopen(await mustLoad('t1'))
    expect(await offered(hostB)).to.equal('reopened')
  })

  it('is granted for no reason by the first host of an empty Redis', async () => {
    await redis.link.client.flushall()

    expect((await ofA.renew([])).granted).to.equal(null)
    expect((await ofA.renew([])).granted).to.equal(null)
  })
})
