import { expect } from 'chai'
import { silentLogger } from '../../../src/base/logger/logger.js'
import { type ConversionOrder, conversionIdOf } from '../../../src/queue/conversions/conversion-record.js'
import { type Conversions, createConversions } from '../../../src/queue/conversions/conversions.js'
import { PROTOCOL } from '../../../src/queue/records/protocol.js'
import { recordKeys } from '../../../src/queue/records/record-keys.js'
import { rejection } from '../../helpers/rejection.js'
import { claimAs, endLease, hostA, hostB } from '../records/sample-records.js'
import { type RedisFixture, startRedisFixture } from '../redis-fixture.js'

const order: ConversionOrder = {
  converter: 'mine',
  organization: 'acme',
  project: 'pets',
  resource: '/acme/projects/pets',
  modelId: 'm1',
  modelVersion: '1.0',
  sourceFormat: 'a',
  targetFormat: 'b',
}
const id = conversionIdOf(order)
const failure = { code: 'LF_X', message: 'no', failure: 'fatal', hostId: 'h', at: 1 } as const

const log = silentLogger()

describe('the records of conversions', () => {
  let redis: RedisFixture
  let conversions: Conversions
  before(async () => {
    redis = await startRedisFixture()
  })
  after(() => redis.close())
  beforeEach(async () => {
    await redis.link.client.flushall()
    conversions = createConversions(redis.link, { repeatAfterMs: 60_000 }, { log })
  })

  const plan = async (definition = 'd1', readAt?: number) =>
    conversions.plan(order, { definition, readAt: readAt ?? (await conversions.now()) })
  const claim = (of = id) => claimAs(conversions.records, of, hostA)
  const convert = async (of = id) =>
    conversions.records.finish(await claim(of), 'converted', { files: ['x'], seconds: 1 })
  const fail = async (of = id) => conversions.records.finish(await claim(of), 'failed', { failure })

  it('are one for a model and a format, however often it is planned', async () => {
    expect([await plan(), await plan(), await plan()]).to.deep.equal(['planned', 'waiting', 'waiting'])
    expect((await conversions.records.waiting(['mine'])).records.map((record) => record.id)).to.deep.equal([id])

    await claim()
    expect(await plan()).to.equal('running')
    expect(await conversions.countOpen()).to.deep.equal({ waiting: { mine: 0 }, running: 1 })
  })

  it('are one also when many converter nodes plan at the same moment', async () => {
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => plan()))

    expect(outcomes.filter((outcome) => outcome === 'planned')).to.have.lengthOf(1)
    expect(await conversions.count()).to.equal(1)
  })

  it('keep a failure until the definition is another', async () => {
    await plan()
    await fail()
    expect(await conversions.load(id)).to.deep.include({ state: 'failed', failure, hostId: 'a', run: 1 })

    expect([await plan('d1'), await plan('d2'), await plan('d1')]).to.deep.equal(['failed', 'again', 'waiting'])
    expect(await conversions.count({ failedOnly: true })).to.equal(0)
    expect(await conversions.load(id)).to.deep.include({ state: 'waiting', failure: null, endedAt: null })
  })

  it('do not begin again for what was converted after the Loop was read, and then ever less often', async () => {
    const readAt = await conversions.now()
    await plan()
    await convert()
    expect(await plan('d1', readAt)).to.equal('converted')

    const later = (await conversions.now()) + 10
    expect(await plan('d1', later)).to.equal('again')
    await convert()
    expect(await plan('d1', (await conversions.now()) + 10)).to.equal('converted')
  })

  it('fence off a run after another host has claimed the conversion', async () => {
    await plan()
    const first = await claim()
    await endLease(redis.link, id)
    const second = await claimAs(conversions.records, id, hostB)

    expect(second.run).to.equal(2)
    for (const late of [
      () => conversions.records.check(first),
      () => conversions.records.update(first, { isUploading: true }),
      () => conversions.records.finish(first, 'converted'),
      () => conversions.records.remove(first),
    ])
      expect(await rejection(late())).to.include({ code: 'LF_RUN_SUPERSEDED' })
  })

  it('forget the oldest of those that were converted with their logs, and none that failed', async () => {
    conversions = createConversions(redis.link, { keepConverted: 2 }, { log })
    for (const modelId of ['m1', 'm2', 'm3', 'm4']) {
      const one = { ...order, modelId }
      await conversions.plan(one, { definition: 'd', readAt: 0 })
      await conversions.appendLog(conversionIdOf(one), 'a line\n')
      await (modelId === 'm1' ? fail : convert)(conversionIdOf(one))
    }

    await conversions.trim()

    expect((await conversions.list()).map((record) => record.order.modelId)).to.have.members(['m1', 'm3', 'm4'])
    const logs = await redis.link.client.keys(`${recordKeys(redis.link).base}:log:*`)
    expect(logs).to.have.lengthOf(3)
  })

  it('end at the wish of a person, and are left alone until a person retries them', async () => {
    await plan()
    expect(await conversions.abort(id, 'cli')).to.equal('ended')

    expect(await plan()).to.equal('failed')
    expect(await conversions.retry(id)).to.include({ outcome: 'reopened' })
    const { run } = await claim()
    expect(await conversions.abort(id, 'cli')).to.equal('asked')
    expect(await conversions.records.load(id)).to.have.nested.property('intent.kind', 'abort')
    expect(run).to.equal(2)
    expect(await rejection(conversions.abort('nobody', 'cli'))).to.include({ code: 'LF_CONVERSION_UNKNOWN' })
  })

  it('are waited for until all of them have ended or are gone', async () => {
    const other = { ...order, modelId: 'm2' }
    await plan()
    await conversions.plan(other, { definition: 'd', readAt: 0 })
    const ended = conversions.untilEnded([id, conversionIdOf(other)], { signal: AbortSignal.timeout(10_000) })

    await fail()
    await conversions.records.remove(await claim(conversionIdOf(other)))

    await ended
  })

  it('are not written by an older version that plans them, when a newer one has written them', async () => {
    const newer = createConversions(redis.link, { protocol: PROTOCOL + 1 }, { log })
    await newer.plan(order, { definition: 'd1', readAt: 0 })
    await newer.records.finish(await claimAs(newer.records, id, { ...hostA, protocol: PROTOCOL + 1 }), 'failed', {
      failure,
    })

    expect(await plan('d2')).to.equal('failed')
    expect(await newer.load(id)).to.include({ state: 'failed', definition: 'd1' })
  })

  it('are found by the beginning of their ids, with an error for several or none', async () => {
    await plan()
    await conversions.plan({ ...order, modelId: 'm2' }, { definition: 'd', readAt: 0 })

    expect((await conversions.find(id.slice(0, 8)))?.id).to.equal(id)
    expect(await conversions.find('nobody')).to.equal(undefined)
    expect(await rejection(conversions.find('c'))).to.include({ code: 'LF_CONVERSION_AMBIGUOUS' })
    expect(await rejection(conversions.retry('nobody'))).to.include({ code: 'LF_CONVERSION_UNKNOWN' })
    expect(await conversions.retry(id)).to.include({ outcome: 'refused' })
  })

  it('bring the news of an upload to converters, and nothing that is not ours', async () => {
    const heard: unknown[] = []
    const subscription = await conversions.onUpload((model) => heard.push(model))
    await redis.link.client.publish(`${redis.link.prefix}:model-uploads`, '{"organization": 1}')
    await redis.link.client.publish(`${redis.link.prefix}:model-uploads`, 'no json')

    await conversions.announceUpload({ organization: 'acme', project: 'pets', format: 'b' })
    while (heard.length === 0) await new Promise((resolve) => setTimeout(resolve, 10))

    expect(heard).to.deep.equal([{ organization: 'acme', project: 'pets', format: 'b' }])
    await subscription.close()
  })
})
