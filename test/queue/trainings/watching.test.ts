import { expect } from 'chai'
import { until } from '../../helpers/until.js'
import { type RedisFixture, startRedisFixture } from '../redis-fixture.js'
import { accepted, type Kept, keepTrainings } from './kept.js'

describe(`trainings: watching`, () => {
  let redis: RedisFixture
  let kept: Kept
  before(async () => {
    redis = await startRedisFixture()
  })
  after(() => redis.close())
  beforeEach(async () => {
    await redis.link.client.flushall()
    kept = keepTrainings(redis)
  })

  it('notifies another process of each change of what the Loop sees, and of nothing else', async () => {
    const heard: string[] = []
    const other = keepTrainings(await redis.another())
    const watch = await other.trainings.watch((id) => heard.push(id))
    const heardOf = async (work: () => Promise<unknown>, count: number) => {
      await work()
      await until(`${count} changes are heard`, () => heard.length >= count)
    }

    await heardOf(() => accepted(kept), 1)
    const [id = ''] = heard
    await heardOf(() => kept.take(id, 'host-a'), 2)
    await heardOf(() => kept.update(id, { progress: 0.5, state: 'initialized' }), 3)
    await kept.update(id, { progress: 0.5, modelId: 'm1', facts: { begun: true } })
    await kept.finishStep(id)
    await heardOf(() => kept.update(id, { errors: { train: 'no' } }), 4)
    await heardOf(() => kept.finish(id, 'completed'), 5)

    expect(heard).to.deep.equal(Array.from({ length: 5 }, () => id))
    expect(await kept.trainings.load(id)).to.include({ modelId: 'm1', progress: 0.5 })
    await watch.close()
  })

  it('hears of all unfinished trainings after an outage', async () => {
    const ended = await accepted(kept, { trainingNumber: 1 })
    await kept.finish(ended.id, 'completed')
    const unfinished = await accepted(kept, { trainingNumber: 2 })
    const { link } = await redis.another()
    const heard: string[] = []
    const watch = await keepTrainings({ link }).trainings.watch((id) => heard.push(id))

    await redis.link.client.call('CLIENT', 'KILL', 'SKIPME', 'yes', 'TYPE', 'normal')
    await redis.link.client.call('CLIENT', 'KILL', 'TYPE', 'pubsub').catch(() => undefined)

    await until('the unfinished one is heard', () => heard.length > 0)
    expect(new Set(heard)).to.deep.equal(new Set([unfinished.id]))
    await watch.close()
  })
})
