import { expect } from 'chai'
import { createLeases } from '../../../src/queue/records/leases.js'
import { createRecords, type Records } from '../../../src/queue/records/records.js'
import { startNodeScript } from '../../helpers/node-script.js'
import { until } from '../../helpers/until.js'
import { type RedisFixture, startRedisFixture } from '../redis-fixture.js'
import { claimAs, createSample, endLease, hostA, hostB, type SamplePayload, sampleTraining } from './sample-records.js'

const renewsItsLease = new URL('../../fixtures/programs/renews-its-lease', import.meta.url)

describe('two hosts', () => {
  let redis: RedisFixture
  let records: Records<SamplePayload>
  let ofOther: Records<SamplePayload>
  before(async () => {
    redis = await startRedisFixture()
    ofOther = createRecords((await redis.another()).link, sampleTraining)
  })
  after(() => redis.close())
  beforeEach(async () => {
    await redis.link.client.flushall()
    records = createRecords(redis.link, sampleTraining)
  })

  it('that claim a record at the same moment have one winner, a thousand times', async () => {
    const ids = Array.from({ length: 1000 }, (_, index) => `t${index}`)
    await Promise.all(ids.map((id) => createSample(records, id)))

    const races = ids.map(async (id) => {
      const seen = { id, version: 1 }
      const answers = await Promise.all([records.claim(seen, hostA), ofOther.claim(seen, hostB)])
      return answers.filter(({ outcome }) => outcome === 'claimed').length
    })

    expect(await Promise.all(races)).to.deep.equal(ids.map(() => 1))
    const runs = (await records.list({ limit: 1000 })).records.map(({ run }) => run)
    expect(runs).to.deep.equal(ids.map(() => 1))
  })

  it('of which one renews while the other returns what has run out never both have the record', async () => {
    await createSample(records, 't1')
    const claim = await claimAs(records, 't1', hostA)
    const ofA = createLeases(redis.link, hostA)
    for (let round = 0; round < 200; round++) {
      await endLease(redis.link, 't1')
      const { version = 0 } = (await records.load('t1')) ?? {}
      const [renewal, stolen] = await Promise.all([ofA.renew([claim]), ofOther.claim({ id: 't1', version }, hostB)])
      const isStolen = stolen.outcome === 'claimed'

      expect(renewal.records[0]?.outcome).to.equal(isStolen ? 'superseded' : 'held')
      if (isStolen) return
    }
  })

  it('of which one is stopped for longer than its lease: the other goes on, and the first learns it when it wakes', async () => {
    await createSample(records, 't1')
    const owner = await startNodeScript(renewsItsLease, [redis.server.url, 't1', '600'])
    const outcomes: string[] = []
    owner.process.stdout?.on('data', (data: Buffer) => outcomes.push(...String(data).trim().split('\n')))
    await until('the owner renews', () => outcomes.includes('held'))

    owner.process.kill('SIGSTOP')
    const watcher = createLeases(redis.link, { ...hostB, leaseMs: 600 })
    await until('its lease has run out', async () => (await watcher.returnExpired()).includes('t1'))
    const second = await claimAs(records, 't1', hostB)
    owner.process.kill('SIGCONT')
    await until('the owner knows', () => outcomes.includes('superseded'))
    await until('its late write is refused', () => outcomes.includes('LF_RUN_SUPERSEDED'))
    await owner.kill('SIGKILL')

    expect(second.run).to.equal(2)
    expect(await records.load('t1')).to.include({ host: 'b', life: 'claimed' })
  })

  it('of which one is stopped for longer than its lease, and nobody wants the record: the first goes on', async () => {
    await createSample(records, 't1')
    const owner = await startNodeScript(renewsItsLease, [redis.server.url, 't1', '600'])
    const outcomes: string[] = []
    owner.process.stdout?.on('data', (data: Buffer) => outcomes.push(...String(data).trim().split('\n')))
    await until('the owner renews', () => outcomes.includes('held'))

    owner.process.kill('SIGSTOP')
    const watcher = createLeases(redis.link, { ...hostB, leaseMs: 600 })
    await until('its lease has run out', async () => (await watcher.returnExpired()).includes('t1'))
    owner.process.kill('SIGCONT')
    await until('the owner has it again', () => outcomes.includes('regained'))
    await owner.kill('SIGKILL')

    expect(await records.load('t1')).to.include({ host: 'owner', life: 'claimed', run: 1 })
  })
})
