import { expect } from 'chai'
import { conversionIdOf } from '../../src/queue/conversion-record.js'
import { type ConversionOrder, type Conversions, createConversions } from '../../src/queue/conversions.js'
import { rejection } from '../helpers/rejection.js'
import { type RedisFixture, startRedisFixture } from './redis-fixture.js'

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

describe('the record of conversions', () => {
  let redis: RedisFixture
  let conversions: Conversions
  before(async () => {
    redis = await startRedisFixture()
  })
  after(() => redis.close())
  beforeEach(async () => {
    await redis.link.client.flushall()
    conversions = createConversions(redis.link, redis.queues, { repeatAfterMs: 60_000 })
  })

  const plan = async (definition = 'd1', lookedAt?: number) =>
    conversions.plan(order, { definition, lookedAt: lookedAt ?? (await conversions.now()) })
  const take = async () => (await conversions.begin(id, { hostId: 'h' }))?.run ?? 0

  it('makes one job for a model and a format, however often it is looked for', async () => {
    expect([await plan(), await plan(), await plan()]).to.deep.equal(['planned', 'waiting', 'waiting'])

    expect(await redis.queues.counts('conversions.mine')).to.include({ waiting: 1 })
  })

  it('makes the job that was lost between the record and the queue', async () => {
    await plan()
    await redis.queues.remove('conversions.mine', id)

    expect(await plan()).to.equal('waiting')
    expect(await redis.queues.counts('conversions.mine')).to.include({ waiting: 1 })
  })

  it('remembers a failure until the definition is another', async () => {
    await plan()
    await conversions.settle(id, await take(), { state: 'failed', failure })

    expect([await plan('d1'), await plan('d2'), await plan('d1')]).to.deep.equal(['failed', 'again', 'waiting'])
    expect(await conversions.count({ failedOnly: true })).to.equal(0)
    expect(await conversions.load(id)).to.deep.include({ state: 'waiting', failure: null, endedAt: null })
  })

  it('does not convert again what was converted after the Loop was looked at, and then ever less often', async () => {
    const lookedAt = await conversions.now()
    await plan()
    await conversions.settle(id, await take(), { state: 'converted', files: ['x'], seconds: 1 })
    expect(await plan('d1', lookedAt)).to.equal('converted')

    const later = (await conversions.now()) + 10
    expect(await plan('d1', later)).to.equal('again')
    await conversions.settle(id, await take(), { state: 'converted', files: ['x'], seconds: 1 })
    expect(await plan('d1', (await conversions.now()) + 10)).to.equal('converted')
  })

  it('fences an older take off, and counts workers that died in one', async () => {
    await plan()
    const first = await take()
    const second = await conversions.begin(id, { hostId: 'h2' })

    expect(second).to.include({ run: 2, deaths: 1 })
    expect(second?.record).to.deep.equal(await conversions.load(id))
    for (const late of [
      conversions.checkRun(id, first),
      conversions.settle(id, first, { state: 'converted', files: [], seconds: 1 }),
      conversions.forget(id, first),
    ])
      expect(await rejection(late)).to.include({ code: 'LF_RUN_SUPERSEDED' })
    await conversions.settle(id, 2, { state: 'waiting', failure })
    expect(await conversions.begin(id, { hostId: 'h' })).to.include({ run: 3, deaths: 0 })
  })

  it('forgets the oldest of those that went well, and none that failed', async () => {
    conversions = createConversions(redis.link, redis.queues, { keepConverted: 2 })
    for (const modelId of ['m1', 'm2', 'm3', 'm4']) {
      const one = { ...order, modelId }
      await conversions.plan(one, { definition: 'd', lookedAt: 0 })
      const begun = await conversions.begin(conversionIdOf(one), { hostId: 'h' })
      const end =
        modelId === 'm1'
          ? ({ state: 'failed', failure } as const)
          : ({ state: 'converted', files: [], seconds: 1 } as const)
      await conversions.settle(conversionIdOf(one), begun?.run ?? 0, end)
    }

    expect((await conversions.list()).map((record) => record.order.modelId)).to.have.members(['m1', 'm3', 'm4'])
  })

  it('finds one by the beginning of its id, and says when there are several or none', async () => {
    await plan()
    await conversions.plan({ ...order, modelId: 'm2' }, { definition: 'd', lookedAt: 0 })

    expect((await conversions.find(id.slice(0, 8)))?.id).to.equal(id)
    expect(await conversions.find('nobody')).to.equal(undefined)
    expect(await rejection(conversions.find('c'))).to.include({ code: 'LF_CONVERSION_AMBIGUOUS' })
    expect(await rejection(conversions.retry('nobody'))).to.include({ code: 'LF_CONVERSION_UNKNOWN' })
    expect(await conversions.retry(id)).to.include({ outcome: 'refused' })
  })

  it('passes on what was uploaded, and nothing that is none of ours', async () => {
    const heard: unknown[] = []
    const subscription = await conversions.onUpload((model) => heard.push(model))
    await redis.link.client.publish(`${redis.link.prefix}:model-uploads`, '{"organization": 1}')
    await redis.link.client.publish(`${redis.link.prefix}:model-uploads`, 'no json')

    await conversions.tellUpload({ organization: 'acme', project: 'pets', format: 'b' })
    while (heard.length === 0) await new Promise((resolve) => setTimeout(resolve, 10))

    expect(heard).to.deep.equal([{ organization: 'acme', project: 'pets', format: 'b' }])
    await subscription.close()
  })
})
