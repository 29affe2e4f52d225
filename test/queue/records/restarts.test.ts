import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { silentLogger } from '../../../src/base/logger/logger.js'
import { type Claim, createLeases, type Leases } from '../../../src/queue/records/leases.js'
import { createRecords, type Records } from '../../../src/queue/records/records.js'
import { openRedis, type RedisLink } from '../../../src/queue/redis/open-redis.js'
import { rejection } from '../../helpers/rejection.js'
import { until } from '../../helpers/until.js'
import { type OwnRedis, startOwnRedis } from '../own-redis.js'
import {
  claimAs,
  createSample,
  endLease,
  hostA,
  hostB,
  leaseLeft,
  type SamplePayload,
  sampleTraining,
  tryClaim,
} from './sample-records.js'

const log = silentLogger()

describe('after Redis', () => {
  let folder: string
  let redis: OwnRedis
  let link: RedisLink
  let records: Records<SamplePayload>
  let ofA: Leases
  let ofB: Leases
  const closers: (() => Promise<unknown>)[] = []

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'loopfleet-restarts-'))
    closers.push(() => rm(folder, { recursive: true, force: true }))
  })
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close()
  })

  /** Two hosts that have renewed, and two records that wait. */
  async function startFleet(...settings: string[]): Promise<void> {
    const server = await startOwnRedis(folder, '--repl-diskless-sync-delay', '0', ...settings)
    closers.push(() => server.close())
    const own = await openRedis(server.url, { log })
    closers.push(() => own.close())
    redis = server
    link = own
    records = createRecords(link, sampleTraining)
    ofA = createLeases(link, hostA)
    ofB = createLeases(link, hostB)
    for (const id of ['t1', 't2']) await createSample(records, id)
    for (const leases of [ofA, ofB]) await leases.renew([])
  }

  const outcomeOf = async (leases: Leases, claim: Claim) => (await leases.renew([claim])).records[0]?.outcome

  it('was killed and restarted, no lease has run out, whatever they were before', async () => {
    await startFleet()
    const claim = await claimAs(records, 't1', hostA)
    await endLease(link, 't1')
    await redis.kill()
    await redis.start()

    expect(await ofB.returnExpired()).to.deep.equal([])
    expect(await leaseLeft(link, 't1')).to.be.within(28_000, 30_000)
    expect(await outcomeOf(ofA, claim)).to.equal('held')
    await records.update(claim, { progress: 0.5 })
  })

  it('was restarted, nothing is claimed until every host that was there has renewed', async () => {
    await startFleet()
    await redis.kill()
    await redis.start()

    expect((await ofB.renew([])).granted).to.equal('server')
    const early = await tryClaim(records, 't1', hostB)
    expect(early.outcome === 'settling' && early.waitMs).to.be.within(1, 30_000)

    await ofA.renew([])
    expect(await tryClaim(records, 't1', hostB)).to.include({ outcome: 'claimed' })
  })

  it('was restarted, a host that ended on purpose is not waited for, and a dead one for one lease', async () => {
    await startFleet()
    await createLeases(link, { ...hostB, host: 'c' }).renew([])
    await createLeases(link, { ...hostB, host: 'c' }).leave()
    await redis.kill()
    await redis.start()

    const brief = { ...hostB, leaseMs: 500 }
    expect(await tryClaim(records, 't1', brief)).to.include({ outcome: 'settling' })
    const ofBrief = createLeases(link, brief)
    await until('one lease is over, in which host a was silent', async () => {
      await ofBrief.renew([])
      return (await tryClaim(records, 't1', brief)).outcome === 'claimed'
    })
  })

  it('has lost the newest writes, a host restores its claim before another one can make it', async () => {
    await startFleet('--appendonly', 'no')
    await redis.call('SAVE')
    const claim = await claimAs(records, 't1', hostA)
    await records.update(claim, { progress: 0.5 })
    await redis.kill()
    await redis.start()
    expect(await records.load('t1')).to.include({ life: 'waiting', run: 0 })

    expect(await tryClaim(records, 't1', hostB)).to.include({ outcome: 'settling' })
    expect(await outcomeOf(ofA, claim)).to.equal('restored')

    await ofB.renew([])
    expect(await tryClaim(records, 't1', hostB)).to.deep.equal({ outcome: 'taken' })
    await records.update(claim, { progress: 0.6 })
    expect(await records.load('t1')).to.include({ life: 'claimed', host: 'a', run: 1 })
    expect((await records.waiting(['yolo'])).records.map(({ id }) => id)).to.deep.equal(['t2'])
  })

  it('has lost a take-over, the host that has taken over keeps the record, whichever renews first', async () => {
    for (const aIsFirst of [true, false]) {
      await startFleet('--appendonly', 'no')
      const first = await claimAs(records, 't1', hostA)
      await redis.call('SAVE')
      await endLease(link, 't1')
      const second = await claimAs(records, 't1', hostB)
      await redis.kill()
      await redis.start()

      if (aIsFirst) expect(await outcomeOf(ofA, first)).to.equal('held')
      expect(await outcomeOf(ofB, second)).to.equal('restored')
      expect(await outcomeOf(ofA, first)).to.equal('superseded')
      expect(await rejection(records.check(first))).to.include({ code: 'LF_RUN_SUPERSEDED' })
      await records.check(second)
    }
  })

  it('has lost that a record was retried and claimed, the claim is not restored over the end that it has', async () => {
    await startFleet('--appendonly', 'no')
    await records.finish(await claimAs(records, 't1', hostA), 'failed')
    await redis.call('SAVE')
    await records.reopen({ id: 't1', version: (await records.load('t1'))?.version ?? 0 })
    const claim = await claimAs(records, 't1', hostA)
    await redis.kill()
    await redis.start()

    expect(await outcomeOf(ofA, claim)).to.equal('lost')
    expect(await records.load('t1')).to.include({ life: 'ended', outcome: 'failed' })
  })

  it('came back empty, what a host works on is lost, and new records are claimed immediately', async () => {
    await startFleet()
    const claim = await claimAs(records, 't1', hostA)
    await redis.kill()
    await redis.start(join(folder, 'empty'))

    expect(await outcomeOf(ofA, claim)).to.equal('lost')
    expect(await rejection(records.check(claim))).to.include({ code: 'LF_RECORD_LOST' })
    await createSample(records, 't9')
    expect(await tryClaim(records, 't9', hostB)).to.include({ outcome: 'claimed' })
  })

  it('failed over to a replica, no lease has run out there', async () => {
    await startFleet()
    const claim = await claimAs(records, 't1', hostA)
    await endLease(link, 't1')
    const replica = await startOwnRedis(folder, '--replicaof', '127.0.0.1', String(redis.port))
    closers.push(() => replica.close())
    await until(
      'the replica has the record',
      async () => (await replica.call('EXISTS', '{loopfleet}:records:record:t1')) === 1,
    )
    await replica.call('REPLICAOF', 'NO', 'ONE')
    const there = await openRedis(replica.url, { log })
    closers.push(() => there.close())

    expect(await createLeases(there, hostB).returnExpired()).to.deep.equal([])
    expect(await outcomeOf(createLeases(there, hostA), claim)).to.equal('held')
    await createRecords(there, sampleTraining).update(claim, { progress: 0.5 })
  })

  it('stood still for more than half a lease, no lease has run out', async () => {
    await startFleet()
    const brief = { ...hostA, leaseMs: 400 }
    await claimAs(records, 't1', brief)
    redis.signal('SIGSTOP')
    const renewal = createLeases(link, { ...hostB, leaseMs: 400 }).renew([])
    await sleep(600) // how long Redis stands still is what is tested
    redis.signal('SIGCONT')

    expect((await renewal).granted).to.equal('time')
    expect(await createLeases(link, { ...hostB, leaseMs: 400 }).returnExpired()).to.deep.equal([])
  })
})
