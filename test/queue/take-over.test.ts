import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { z } from 'zod'
import { WorkerShutdownError } from '../../src/base/abort-reasons.js'
import { findHeldJobs, releaseHeldJob } from '../../src/queue/held-jobs.js'
import { HandBackError } from '../../src/queue/queue-errors.js'
import { startNodeScript } from '../helpers/node-script.js'
import { until } from '../helpers/until.js'
import { type RedisFixture, startRedisFixture } from './redis-fixture.js'

const holdsAJob = new URL('../fixtures/programs/holds-a-job', import.meta.url)
const schema = z.object({ n: z.number() })

describe('a job whose holder', () => {
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

  it('was killed -9 is taken within five seconds when the killed one is known, whatever its lock', async () => {
    await redis.queues.add(queue, 'x', { n: 1 }, { id: 'a' })
    const holder = await startNodeScript(holdsAJob, [redis.server.url, queue, '30000'])
    await holder.kill('SIGKILL')

    const startedAt = performance.now()
    expect(await redis.queues.releaseHeldBy(queue, ['a', 'not-held'])).to.deep.equal(['a'])
    const consumer = redis.queues.consume(queue, async (job) => job.attemptsStarted, { schema })
    const value = await redis.queues.runJob(queue, 'x', { n: 1 }, { id: 'a' })

    expect(value).to.equal(2)
    expect(performance.now() - startedAt).to.be.below(5_000)
    await consumer.close()
  })

  it('was killed -9 is taken by a consumer that was there before, after lock and check', async () => {
    await redis.queues.add(queue, 'x', { n: 1 }, { id: 'a', attempts: 1 })
    const holder = await startNodeScript(holdsAJob, [redis.server.url, queue, '1000'])
    const takes: number[] = []
    const consumer = redis.queues.consume(queue, async (job) => takes.push(job.attemptsMade), {
      schema,
      lockMs: 1_000,
      stalledMs: 200,
    })

    await holder.kill('SIGKILL')

    await until('it is taken over', () => takes.length === 1)
    expect(takes).to.deep.equal([0])
    await consumer.close()
  })

  it('stalls ten times is still not given up', async () => {
    await redis.queues.add(queue, 'x', { n: 1 }, { id: 'a' })
    let takes = 0
    const hold = (_job: unknown, signal: AbortSignal) => {
      takes++
      if (takes > 10) return Promise.resolve('done')
      return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    }
    const other = await redis.another()
    const holders = Array.from({ length: 11 }, () =>
      other.queues.consume(queue, hold, { schema, stalledMs: 50, lockMs: 30_000 }),
    )

    await until(
      'it is done',
      async () => {
        await redis.queues.releaseHeldBy(queue, 'all')
        return (await redis.queues.job(queue, 'a'))?.state === 'completed'
      },
      20_000,
    )

    expect(takes).to.be.at.least(11) // a release may catch the last take in the act
    await Promise.all(holders.map((holder) => holder.close({ cancel: new Error('the test is over') })))
  })

  it('lost its lock is told so, and can neither finish nor fail it any more', async () => {
    const other = await redis.another()
    const reasons: unknown[] = []
    const first = redis.queues.consume(
      queue,
      (_job, signal) =>
        new Promise((resolve) => {
          signal.addEventListener('abort', () => {
            reasons.push(signal.reason)
            setTimeout(() => resolve('of the fenced one'), 300)
          })
        }),
      { schema, lockMs: 800, stalledMs: 100 },
    )
    await redis.queues.add(queue, 'x', { n: 1 }, { id: 'a' })
    await until('it is taken', () => first.running === 1)
    void first.pause()

    const second = other.queues.consume(queue, async () => 'of the second', { schema, stalledMs: 100 })
    const waiting = redis.queues.runJob(queue, 'x', { n: 1 }, { id: 'a' })
    const isDone = async () => {
      await redis.queues.releaseHeldBy(queue, ['a']) // the first takes it back if it is quicker than the second
      return (await redis.queues.job(queue, 'a'))?.state === 'completed'
    }
    await until('the second has done it', isDone)
    const value = await waiting
    await until('the first is told', () => reasons.length === 1)
    await first.close()

    expect(value).to.equal('of the second')
    expect(reasons[0]).to.include({ code: 'LF_LOCK_LOST' })
    expect(await redis.queues.job(queue, 'a')).to.include({ state: 'completed', result: 'of the second' })
    await second.close()
  })

  for (const [what, isTakenOver, ends] of [
    ['only given it back, keeps it', false, 0],
    ['begun the work, is told so', true, 1],
  ] as const) {
    it(`lost its lock to another one that has ${what}`, async () => {
      const other = await redis.another()
      const reasons: unknown[] = []
      let finish: () => void = () => undefined
      const hold = (_job: unknown, signal: AbortSignal) =>
        new Promise<string>((resolve, reject) => {
          signal.addEventListener('abort', () => reasons.push(signal.reason))
          signal.addEventListener('abort', () => reject(signal.reason))
          finish = () => resolve('of the first')
        })
      const timing = { schema, lockMs: 800, stalledMs: 100 }
      const first = redis.queues.consume(queue, hold, { ...timing, isTakenOver: async () => isTakenOver })
      await redis.queues.add(queue, 'x', { n: 1 }, { id: 'a' })
      await until('it is taken', () => first.running === 1)
      void first.pause()
      const [held] = await findHeldJobs(redis.link, queue, '')
      let takes = 0
      const second = other.queues.consume(
        queue,
        async () => {
          takes += 1
          throw new HandBackError()
        },
        timing,
      )
      await until('the second has had it', async () => {
        if (held !== undefined) await releaseHeldJob(redis.link, queue, held) // never the lock of the second
        return takes > 0
      })
      await second.close()
      await sleep(1_500) // longer than a lock

      expect(reasons).to.have.lengthOf(ends)
      finish()
      await first.close()
      const state = isTakenOver ? 'waiting' : 'completed'
      expect(await redis.queues.job(queue, 'a')).to.include({ state })
    })
  }

  it('lost its lock, which nobody else has taken, is gone on with', async () => {
    let takes = 0
    let finish: () => void = () => undefined
    const ends: unknown[] = []
    const hold = (_job: unknown, signal: AbortSignal) => {
      takes++
      signal.addEventListener('abort', () => ends.push(signal.reason))
      return new Promise<string>((resolve) => (finish = () => resolve(`of take ${takes}`)))
    }
    const consumer = redis.queues.consume(queue, hold, { schema, concurrency: 2, lockMs: 400, stalledMs: 50 })
    const value = redis.queues.runJob(queue, 'x', { n: 1 }, { id: 'a' })
    await until('it is taken', () => consumer.running === 1)

    for (let loss = 0; loss < 5; loss += 1) {
      await redis.queues.releaseHeldBy(queue, ['a'])
      await until(
        'it is held again',
        async () => (await redis.link.client.exists(`${redis.link.prefix}:${queue}:a:lock`)) === 1,
      )
    }
    finish()

    expect(await value).to.equal('of take 1')
    expect({ takes, ends }).to.deep.equal({ takes: 1, ends: [] })
    await consumer.close()
  })

  it('is given up by a holder that was told to end when it comes back to it', async () => {
    let takes = 0
    const consumer = redis.queues.consume(
      queue,
      async (_job, signal) => {
        takes++
        if (takes > 1) return takes
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
        throw signal.reason
      },
      { schema, concurrency: 2, lockMs: 800, stalledMs: 50 },
    )
    const value = redis.queues.runJob(queue, 'x', { n: 1 }, { id: 'a' })
    await until('it is taken', () => consumer.running === 1)

    await consumer.close({ cancel: new WorkerShutdownError() })
    const next = redis.queues.consume(queue, async () => 'of the next', { schema })

    expect(await value).to.equal('of the next')
    await next.close()
  })
})
