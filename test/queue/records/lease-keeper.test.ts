import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { silentLogger } from '../../../src/base/logger/logger.js'
import type { Service } from '../../../src/base/service.js'
import { createLeaseKeeper } from '../../../src/queue/records/lease-keeper.js'
import { type Claim, createLeases } from '../../../src/queue/records/leases.js'
import { recordKeys } from '../../../src/queue/records/record-keys.js'
import { createRecords, type Records } from '../../../src/queue/records/records.js'
import { openRedis, type RedisLink } from '../../../src/queue/redis/open-redis.js'
import { until } from '../../helpers/until.js'
import { type OwnRedis, startOwnRedis } from '../own-redis.js'
import { claimAs, createSample, endLease, hostA, hostB, type SamplePayload, sampleTraining } from './sample-records.js'

const log = silentLogger()
const LEASE_MS = 600

describe('the keeper of a host’s leases', () => {
  let folder: string
  let redis: OwnRedis
  let link: RedisLink
  let records: Records<SamplePayload>
  const closers: (() => Promise<unknown>)[] = []
  const renewed: string[] = []
  const returned: string[] = []

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'loopfleet-keeper-'))
    redis = await startOwnRedis(folder)
    link = await openRedis(redis.url, { log })
    records = createRecords(link, sampleTraining)
    for (const id of ['t1', 't2']) await createSample(records, id)
    closers.push(
      () => rm(folder, { recursive: true, force: true }),
      () => redis.close(),
      () => link.close(),
    )
    renewed.length = 0
    returned.length = 0
  })
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close()
  })

  async function keep(held: readonly Claim[]): Promise<Service> {
    const keeper = createLeaseKeeper(
      { leaseMs: LEASE_MS },
      {
        ...{ link, log, held: () => held },
        leases: createLeases(link, { ...hostA, leaseMs: LEASE_MS }),
        onRenewed: (each) => renewed.push(...each.map(({ outcome }) => outcome)),
        onReturned: (ids) => returned.push(...ids),
      },
    )
    closers.push(() => keeper.stop())
    await keeper.start({ signal: new AbortController().signal })
    return keeper
  }

  it('renews them for as long as it lives, and returns what silent hosts have', async () => {
    const claim = await claimAs(records, 't1', { ...hostA, leaseMs: LEASE_MS })
    await claimAs(records, 't2', { ...hostB, leaseMs: LEASE_MS })
    await keep([claim])

    await until('the other host is silent for a lease', () => returned.includes('t2'))
    const count = renewed.length
    await until('it renews again', () => renewed.length > count)

    expect(returned).to.deep.equal(['t2'])
    expect(new Set(renewed)).to.deep.equal(new Set(['held']))
    await records.check(claim)
  })

  it('renews them as soon as Redis is reachable again, and has lost nothing', async () => {
    const claim = await claimAs(records, 't1', { ...hostA, leaseMs: LEASE_MS })
    await keep([claim])
    await redis.kill()
    await redis.start()
    const count = renewed.length

    await until('it renews', () => renewed.length > count)

    expect(new Set(renewed)).to.deep.equal(new Set(['held']))
    await records.update(claim, { progress: 0.5 })
  })

  it('says what it has lost to another host', async () => {
    const claim = await claimAs(records, 't1', { ...hostA, leaseMs: LEASE_MS })
    await endLease(link, 't1')
    await claimAs(records, 't1', hostB)

    await keep([claim])

    expect(renewed).to.deep.equal(['superseded'])
  })

  it('leaves, so that after a restart of Redis nobody waits for its host', async () => {
    const keeper = await keep([])
    expect(await link.client.zscore(recordKeys(link).hosts, 'a')).to.equal('1')

    await keeper.stop()

    expect(await link.client.zscore(recordKeys(link).hosts, 'a')).to.equal(null)
  })

  it('ends within a moment while Redis is stopped', async () => {
    const keeper = await keep([])
    redis.signal('SIGSTOP')
    const startedAt = performance.now()
    await keeper.stop()

    expect(performance.now() - startedAt).to.be.below(4_000)
    redis.signal('SIGCONT')
  })
})
