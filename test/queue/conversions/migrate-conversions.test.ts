import { expect } from 'chai'
import { silentLogger } from '../../../src/base/logger/logger.js'
import { type Conversions, createConversions } from '../../../src/queue/conversions/conversions.js'
import { claimAs, hostA } from '../records/sample-records.js'
import { type RedisFixture, startRedisFixture } from '../redis-fixture.js'
import { restoreRedis } from '../restore-redis.js'

/** What the code of 7de4018 has left in Redis: conversions in each state, one of them with a locked job. */
const OLD = 'conversions-of-7de4018.json'

describe('conversions of 7de4018', () => {
  let redis: RedisFixture
  let conversions: Conversions
  before(async () => {
    redis = await startRedisFixture()
  })
  after(() => redis.close())
  beforeEach(async () => {
    await redis.link.client.flushall()
    await restoreRedis(redis.link.client, OLD)
    conversions = createConversions(redis.link, {}, { log: silentLogger() })
  })

  const byModel = async () => new Map((await conversions.list()).map((record) => [record.order.modelId, record]))

  it('are records afterwards: what has ended keeps its end, the others wait', async () => {
    await conversions.migrate(redis.queues)

    const found = await byModel()
    expect([...found].map(([modelId, { state, run }]) => `${modelId} ${state} ${run}`)).to.have.members([
      'converted-model converted 1',
      'failed-model failed 1',
      'delayed-model waiting 1',
      'running-model waiting 1',
      'waiting-model waiting 0',
    ])
    expect(found.get('converted-model')).to.deep.include({ files: ['model.int8'], seconds: 1.5, hostId: 'host-a' })
    expect(found.get('failed-model')?.failure).to.include({ code: 'LF_COMMAND_FAILED', exitCode: 1 })
    expect(found.get('failed-model')?.endedAt).to.be.below(1.8e12)
    expect(await conversions.count({ failedOnly: true })).to.equal(1)
    expect(await conversions.countOpen()).to.deep.equal({ waiting: { quantize: 3 }, running: 0 })
    const log = await conversions.readLog(found.get('failed-model')?.id ?? '')
    expect(log.map(({ text }) => text)).to.deep.equal(['no such layer\n'])
  })

  it('leave nothing behind in the old form, with their queue, and are migrated once', async () => {
    await conversions.migrate(redis.queues)
    const first = [...(await byModel()).values()]
    await conversions.migrate(redis.queues)

    expect([...(await byModel()).values()]).to.deep.equal(first)
    const keys = (await redis.link.client.keys('*')).filter((key) => !key.includes(':records:'))
    expect(keys.filter((key) => key.includes('conversion') && !/:(meta|events)$/.test(key))).to.deep.equal([])
    expect(await redis.queues.names()).to.deep.equal([])
  })

  it('go on from there: a failed one is left alone, and what waited can be claimed', async () => {
    await conversions.migrate(redis.queues)
    const failed = (await byModel()).get('failed-model')
    const running = (await byModel()).get('running-model')
    if (failed === undefined || running === undefined) throw new Error('They were not migrated.')

    expect(await conversions.plan(failed.order, { definition: 'd1', readAt: 0 })).to.equal('failed')
    expect((await claimAs(conversions.records, running.id, hostA)).run).to.equal(2)
    expect(await conversions.plan(failed.order, { definition: 'd2', readAt: 0 })).to.equal('again')
  })

  it('that cannot be read stay as they are, and do not hide the others', async () => {
    const [key = ''] = await redis.link.client.keys('{loopfleet}:conversion:*')
    await redis.link.client.hset(key, 'state', 'no json')

    await conversions.migrate(redis.queues)

    expect(await conversions.count()).to.equal(4)
    expect(await redis.link.client.exists(key)).to.equal(1)
  })
})
