import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { z } from 'zod'
import { LoopfleetError } from '../../src/base/errors.js'
import { until } from '../helpers/until.js'
import { type RedisFixture, startRedisFixture } from './redis-fixture.js'

const HOUR_MS = 3_600_000
const schema = z.object({ n: z.number() })
const realNow = Date.now

describe('a clock that is set back', function () {
  this.timeout(30_000)
  let redis: RedisFixture
  let queue: string
  let count = 0
  before(async () => {
    redis = await startRedisFixture()
  })
  after(() => redis.close())
  beforeEach(() => {
    queue = `clock.${++count}`
  })
  afterEach(() => {
    Date.now = realNow
  })

  it('delays no retry', async () => {
    Date.now = () => realNow() + HOUR_MS
    let attempts = 0
    const failsOnce = async () => {
      attempts += 1
      if (attempts === 1) throw new LoopfleetError('LF_TEST', 'The Loop is away.', { failure: 'transient' })
      return 'done'
    }
    const consumer = redis.queues.consume(queue, failsOnce, { schema })
    const startedAt = performance.now()
    const value = redis.queues.runJob(queue, 'x', { n: 1 }, { id: 'a', backOff: { firstMs: 3_000 } })
    await until('it has failed', () => attempts === 1)

    Date.now = realNow

    expect(await value).to.equal('done')
    expect(performance.now() - startedAt).to.be.within(2_300, 6_000) // three seconds, less a fifth by chance
    await consumer.close()
  })

  it('does not keep a repeating job from its rhythm', async () => {
    let turns = 0
    const consumer = redis.queues.consume(queue, async () => ++turns, { schema })
    Date.now = () => realNow() + HOUR_MS
    await redis.queues.repeat(queue, 'turn', { n: 1 }, { id: 'often', everyMs: 500 })
    await until('the first turns', () => turns >= 2)
    await sleep(1500) // the watch has seen the clock ahead

    Date.now = realNow
    const before = turns
    await until('further turns', () => turns >= before + 6, 12_000)

    await redis.queues.stopRepeating(queue, 'often')
    await consumer.close()
  })
})
