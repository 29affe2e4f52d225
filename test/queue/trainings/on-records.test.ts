import { expect } from 'chai'
import { silentLogger } from '../../../src/base/logger/logger.js'
import { conversionDefinition, conversionPayloadSchema } from '../../../src/queue/conversions/conversion-record.js'
import { createLeases } from '../../../src/queue/records/leases.js'
import { PROTOCOL } from '../../../src/queue/records/protocol.js'
import { recordKeys } from '../../../src/queue/records/record-keys.js'
import { createRecords } from '../../../src/queue/records/records.js'
import { createTrainings, type Trainings } from '../../../src/queue/trainings/trainings.js'
import { rejection } from '../../helpers/rejection.js'
import { until } from '../../helpers/until.js'
import { anOrder, seatA } from '../orders.js'
import { claimAs, hostA, hostB } from '../records/sample-records.js'
import { type RedisFixture, startRedisFixture } from '../redis-fixture.js'

const log = silentLogger()

describe('trainings on records', () => {
  let redis: RedisFixture
  let trainings: Trainings
  before(async () => {
    redis = await startRedisFixture()
  })
  after(() => redis.close())
  beforeEach(async () => {
    await redis.link.client.flushall()
    trainings = createTrainings(redis.link, {}, { log })
  })

  async function accepted(change = {}): Promise<string> {
    const answer = await trainings.accept({ order: anOrder(change), trainer: 'shapes', seat: seatA })
    if (answer.outcome === 'refused') throw new Error(answer.reason)
    return answer.training.id
  }

  it('are offered to hosts as soon as they are accepted, and again after a retry', async () => {
    const id = await accepted()
    const offered = async () => (await trainings.records.waiting(['shapes'])).records.map((record) => record.id)
    expect(await offered()).to.deep.equal([id])

    const claim = await claimAs(trainings.records, id, hostA)
    expect(await offered()).to.deep.equal([])
    await trainings.records.finish(claim, 'failed')
    await trainings.retry(id)

    expect(await offered()).to.deep.equal([id])
    expect((await claimAs(trainings.records, id, hostB)).run).to.equal(3)
  })

  it('ask the host that has one to stop it, and keep an abort', async () => {
    const id = await accepted()
    const claim = await claimAs(trainings.records, id, hostA)

    expect(await trainings.request(id, 'abort', 'cli')).to.equal('asked')
    expect(await trainings.request(id, 'stop', 'loop')).to.equal('asked')

    expect(await trainings.load(id)).to.include({ endedAt: null, stopRequested: true })
    const { records } = await createLeases(redis.link, hostA).renew([claim])
    expect(records[0]?.intent).to.include({ kind: 'abort', by: 'cli' })
  })

  it('are not ended by a host that claims one while it is aborted: it is asked then', async () => {
    const id = await accepted()
    const [outcome, claim] = await Promise.all([
      trainings.request(id, 'abort', 'cli'),
      claimAs(trainings.records, id, hostA).catch(() => undefined),
    ])

    expect(outcome).to.equal(claim === undefined ? 'ended' : 'asked')
  })

  it('are none of the ids of conversions', async () => {
    const conversions = createRecords(redis.link, conversionDefinition)
    await conversions.create({ id: 'c1', name: 'quantize', payload: aConversion })

    expect(await trainings.load('c1')).to.equal(undefined)
    expect(await trainings.find('c1')).to.equal(undefined)
    expect(await trainings.compareRun('c1', 0)).to.deep.equal({ state: 'lost', found: null })
    for (const call of [() => trainings.request('c1', 'abort', 'cli'), () => trainings.retry('c1')])
      expect(await rejection(call())).to.include({ code: 'LF_TRAINING_UNKNOWN' })
    expect(await conversions.load('c1')).to.include({ life: 'waiting' })
  })

  describe('whose record Redis has lost', () => {
    it('are ended by their host when somebody wants it: the renewal brings the intent', async () => {
      const id = await accepted()
      const claim = await claimAs(trainings.records, id, hostA)
      const leases = createLeases(redis.link, hostA)
      await redis.link.client.flushall()
      expect((await leases.renew([claim])).records).to.deep.equal([{ id, outcome: 'lost', intent: null }])

      await trainings.requestWithoutRecord(id, 'abort', 'loop')
      await trainings.requestWithoutRecord(id, 'stop', 'cli')

      const [renewed] = (await leases.renew([claim])).records
      expect(renewed).to.include({ outcome: 'lost' })
      expect(renewed?.intent).to.include({ kind: 'abort' })
      expect(await trainings.records.intentOf(id)).to.include({ kind: 'abort' })
      expect(await redis.link.client.ttl(recordKeys(redis.link).intent(id))).to.be.within(604_000, 604_800)
    })

    it('are ended also if Redis has an older end of them', async () => {
      const id = await accepted()
      const older = await claimAs(trainings.records, id, hostA)
      await trainings.records.finish(older, 'failed')

      await trainings.requestWithoutRecord(id, 'abort', 'loop')

      const [renewed] = (await createLeases(redis.link, hostA).renew([{ ...older, run: 3 }])).records
      expect(renewed).to.include({ outcome: 'lost' })
      expect(renewed?.intent).to.include({ kind: 'abort', by: 'loop' })
    })

    it('are ended also if Redis has lost the claim alone, and the record seemed to wait', async () => {
      const id = await accepted()
      const { client } = redis.link
      const { record, waiting, leases } = recordKeys(redis.link)
      const claim = await claimAs(trainings.records, id, hostA)
      await client.hset(record(id), { life: 'waiting', run: '0', host: '', incarnation: '' })
      await client.zrem(leases, id)
      await client.zadd(waiting('training', 'shapes'), 1, id)

      expect(await trainings.request(id, 'stop', 'loop')).to.equal('ended')

      const [renewed] = (await createLeases(redis.link, hostA).renew([claim])).records
      expect(renewed).to.include({ outcome: 'lost' })
      expect(renewed?.intent).to.include({ kind: 'abort', by: 'loop' })
    })

    it('are asked by their record when it is there again', async () => {
      const id = await accepted()

      await trainings.requestWithoutRecord(id, 'stop', 'loop')

      expect(await trainings.load(id)).to.include({ stopRequested: true })
      expect(await redis.link.client.exists(recordKeys(redis.link).intent(id))).to.equal(0)
    })
  })

  it('of which one cannot be read hide neither the others nor the ends of their seat', async () => {
    const newer = createTrainings(redis.link, { protocol: PROTOCOL + 1 }, { log })
    const first = await newer.accept({ order: anOrder(), trainer: 'shapes', seat: seatA })
    if (first.outcome === 'refused') throw new Error(first.reason)
    const claim = await claimAs(newer.records, first.training.id, { ...hostA, protocol: PROTOCOL + 1 })
    await newer.records.finish(claim, 'completed')
    const second = await accepted({ trainingNumber: 2 })
    await trainings.records.finish(await claimAs(trainings.records, second, hostA), 'completed')

    expect((await trainings.list()).map(({ id }) => id)).to.deep.equal([second])
    expect((await trainings.unackedEndsOfSeat(seatA.uuid)).map(({ id }) => id)).to.deep.equal([second])
    expect(await rejection(trainings.load(first.training.id))).to.include({ code: 'LF_RECORD_TOO_NEW' })
  })

  it('of a newer version can still be aborted', async () => {
    const newer = createTrainings(redis.link, { protocol: PROTOCOL + 1 }, { log })
    const answer = await newer.accept({ order: anOrder(), trainer: 'shapes', seat: seatA })
    if (answer.outcome === 'refused') throw new Error(answer.reason)

    expect(await trainings.request(answer.training.id, 'abort', 'cli')).to.equal('ended')
  })

  it('take their log and their curve with them when they are removed, and free their seat and number', async () => {
    const id = await accepted()
    await trainings.appendLog(id, 'a line\n')
    await trainings.addPoints(id, [{ epoch: 1, values: { loss: 1 } }])
    expect(await trainings.readCurve(id)).to.have.lengthOf(1)

    await trainings.records.remove(await claimAs(trainings.records, id, hostA))

    const { base } = recordKeys(redis.link)
    expect((await redis.link.client.keys(`${base}:*`)).filter((key) => key.includes(id))).to.deep.equal([])
    expect(await trainings.unackedEndsOfSeat(seatA.uuid)).to.deep.equal([])
    expect(await trainings.accept({ order: anOrder(), trainer: 'shapes', seat: seatA })).to.include({
      outcome: 'accepted',
    })
  })

  it('that were removed still count as newer than those that the seat had before', async () => {
    const first = await accepted()
    await trainings.records.finish(await claimAs(trainings.records, first, hostA), 'failed')
    const second = await accepted({ trainingNumber: 2 })
    await trainings.records.remove(await claimAs(trainings.records, second, hostA))

    const answer = await trainings.retry(first)
    expect(answer).to.include({ outcome: 'refused' })
    expect(answer).to.have.property('reason').that.includes('has had another training since')
  })

  it('are all notified when Redis has lost changes', async () => {
    const id = await accepted()
    const heard: string[] = []
    const watch = await trainings.watch((of) => heard.push(of))

    await redis.link.client.del(recordKeys(redis.link).changes)
    await redis.link.client.set(recordKeys(redis.link).changeCount, 7)
    await accepted({ trainingNumber: 1 }) // the same; writes nothing
    await trainings.records.amend(id, { facts: { a: 1 } })

    await until('it is heard', () => heard.includes(id))
    await watch.close()
  })
})

const aConversion = conversionPayloadSchema.parse({
  order: {
    ...{ converter: 'quantize', organization: 'o', project: 'p', resource: '/o/p', modelId: 'm' },
    ...{ modelVersion: '1.0', sourceFormat: 'a', targetFormat: 'b' },
  },
  ...{ definition: 'd', repeats: 0, delays: 0, isUploading: false, failure: null, files: [], seconds: null },
  warnings: [],
})
