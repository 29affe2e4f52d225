import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { z } from 'zod'
import { LoopfleetError } from '../../src/base/errors.js'
import { until } from '../helpers/until.js'
import { type RedisFixture, startRedisFixture } from './redis-fixture.js'

const HOUR_MS = 3_600_000
const schema = z.object({ n: z.number() })
const realNow = Date.now

describe('retries, when the clock goes back', function () {
  this.timeout(30_000)
  let redis: RedisFixture
  let queue: string
  let count = 0
  before(async () => {
    redis = await startRedisFixture()
  })
  after(() => redis.close())
  beforeEach(() => {
    queue = `late.${++count}`
  })
  afterEach(() => {
    Date.now = realNow
  })

  it('are made at once by the worker that delayed them', async () => {
    const consumer = redis.queues.consume(queue, failsOnce(), { schema })
    await delayWithClockAhead(2000)

    await until('it is tried again', async () => (await state()) === 'completed', 8_000)
    await consumer.close()
  })

  it('are made at once by a worker that starts later', async () => {
    const consumer = redis.queues.consume(queue, failsOnce(), { schema })
    await delayWithClockAhead(100, () => consumer.close())
    const other = await redis.another()
    const successor = other.queues.consume(queue, async () => 'done', { schema })

    await until('it is tried again', async () => (await state()) === 'completed', 8_000)
    await successor.close()
  })

  it('wait as long as ever when the clock is right', async () => {
    const startedAt = performance.now()
    const consumer = redis.queues.consume(queue, failsOnce(), { schema })
    await redis.queues.add(queue, 'x', { n: 1 }, { id: 'a', backOff: { firstMs: 4000 } })
    await until('it is delayed', async () => (await state()) === 'delayed')
    const other = await redis.another()
    const second = other.queues.consume(queue, failsOnce(), { schema }) // it looks as it starts

    await until('it is tried again', async () => (await state()) === 'completed', 8_000)

    expect(performance.now() - startedAt).to.be.within(3100, 7000) // four seconds, less a fifth by chance
    await Promise.all([consumer.close(), second.close()])
  })

  it('do not keep a repeating job from its rhythm', async () => {
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

  function failsOnce() {
    return async (job: { readonly attemptsMade: number }) => {
      if (job.attemptsMade > 0) return 'done'
      throw new LoopfleetError('LF_TEST', 'The Loop is away.', { failure: 'transient' })
    }
  }

  async function delayWithClockAhead(forMs: number, whileAhead?: () => Promise<void>): Promise<void> {
    Date.now = () => realNow() + HOUR_MS
    await redis.queues.add(queue, 'x', { n: 1 }, { id: 'a', backOff: { firstMs: 20_000 } })
    await until('it is delayed', async () => (await state()) === 'delayed')
    await sleep(forMs)
    await whileAhead?.()
    Date.now = realNow
  }

  const state = async () => (await redis.queues.job(queue, 'a'))?.state
})
