import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { z } from 'zod'
import { WorkerShutdownError } from '../../src/base/abort-reasons.js'
import { LoopfleetError } from '../../src/base/errors.js'
import { startNodeScript } from '../helpers/node-script.js'
import { until } from '../helpers/until.js'
import { type RedisFixture, startRedisFixture } from './redis-fixture.js'

const holdsAJob = new URL('../fixtures/programs/holds-a-job', import.meta.url)
const schema = z.object({ n: z.number() })

describe('a job whose holder', function () {
  this.timeout(30_000)
  let redis: RedisFixture
  let queue: string
  let count = 0
  before(async () => {
    redis = await startRedisFixture()
  })
  after(() => redis.close())
  beforeEach(() => {
    queue = `take-over.${++count}`
  })

  for (const [when, startsBefore] of [
    ['that starts afterwards', false],
    ['that was there before', true],
  ] as const)
    it(`was killed -9 is taken within ten seconds by a consumer ${when}, and uses up no attempt`, async () => {
      await redis.queues.add(queue, 'x', { n: 1 }, { id: 'a', attempts: 1 })
      const holder = await startNodeScript(holdsAJob, [redis.server.url, queue])
      const consume = () => redis.queues.consume(queue, async () => 'of the next', { schema })
      const before = startsBefore ? consume() : undefined

      const startedAt = performance.now()
      await holder.kill('SIGKILL')
      const consumer = before ?? consume()
      const value = await redis.queues.runJob(queue, 'x', { n: 1 }, { id: 'a' })

      expect(value).to.equal('of the next')
      expect(performance.now() - startedAt).to.be.below(10_000)
      await consumer.close()
    })

  it('lives keeps it for longer than its lock', async () => {
    let takes = 0
    const take = async () => {
      takes += 1
      await sleep(8_000)
      return 'done'
    }
    const other = await redis.another()
    const consumers = [redis, other].map(({ queues }) => queues.consume(queue, take, { schema }))

    expect(await redis.queues.runJob(queue, 'x', { n: 1 }, { id: 'a' })).to.equal('done')
    expect(takes).to.equal(1)
    await Promise.all(consumers.map((consumer) => consumer.close()))
  })

  it('is asked to end goes to the next one immediately', async () => {
    const consumer = redis.queues.consume(
      queue,
      async (_job, signal) => {
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
        throw signal.reason
      },
      { schema, concurrency: 2 },
    )
    const value = redis.queues.runJob(queue, 'x', { n: 1 }, { id: 'a' })
    await until('it is taken', () => consumer.running === 1)

    const startedAt = performance.now()
    await consumer.close({ cancel: new WorkerShutdownError() })
    const next = redis.queues.consume(queue, async () => 'of the next', { schema })

    expect(await value).to.equal('of the next')
    expect(performance.now() - startedAt).to.be.below(4_000)
    await next.close()
  })

  it('ends while it waits for another attempt goes to the next one', async () => {
    let fails = 0
    const away = async () => {
      fails += 1
      throw new LoopfleetError('LF_TEST', 'The Loop is away.', { failure: 'transient' })
    }
    const consumer = redis.queues.consume(queue, away, { schema })
    const value = redis.queues.runJob(queue, 'x', { n: 1 }, { id: 'a', backOff: { firstMs: 60_000 } })
    await until('it has failed', () => fails === 1)

    await consumer.close()
    expect(await redis.queues.counts(queue)).to.include({ waiting: 1, active: 0, failed: 0, delayed: 0 })
    const next = redis.queues.consume(queue, async () => 'of the next', { schema })

    expect(await value).to.equal('of the next')
    await next.close()
  })
})
