import { Queue } from 'bullmq'
import { expect } from 'chai'
import { z } from 'zod'
import { WorkerShutdownError } from '../../../src/base/abort-reasons.js'
import { LoopfleetError } from '../../../src/base/errors.js'
import { rejection } from '../../helpers/rejection.js'
import { until } from '../../helpers/until.js'
import { type RedisFixture, startRedisFixture } from '../redis-fixture.js'

const schema = z.object({ n: z.number() })
const soon = { firstMs: 1, maxMs: 5 }

describe('queues', () => {
  let redis: RedisFixture
  let queue: string
  let count = 0
  before(async () => {
    redis = await startRedisFixture()
  })
  after(() => redis.close())
  beforeEach(() => {
    queue = `test.${++count}`
  })

  it('run a job and return its value', async () => {
    const consumer = redis.queues.consume(queue, async (job) => ({ doubled: job.data.n * 2 }), { schema })

    const value = await redis.queues.runJob(queue, 'double', { n: 21 }, { id: 'a' })

    expect(value).to.deep.equal({ doubled: 42 })
    await consumer.close()
  })

  it('return the same value to every caller, here and in another process', async () => {
    const value = () => ({ at: new Date(0), nothing: undefined, list: [1, undefined] })
    const consumer = redis.queues.consume(queue, async () => value(), { schema })
    const other = await redis.another()

    const [here, there] = await Promise.all(
      [redis.queues, other.queues].map((queues) => queues.runJob(queue, 'same', { n: 1 }, { id: 'a' })),
    )

    expect(here).to.deep.equal({ at: '1970-01-01T00:00:00.000Z', list: [1, null] })
    expect(there).to.deep.equal(here)
    await consumer.close()
  })

  it('return a value also when another process does the job of a queue that is worked on here', async () => {
    let finish: () => void = () => undefined
    const hold = () => new Promise<void>((resolve) => (finish = resolve))
    const busy = redis.queues.consume(queue, hold, { schema })
    await redis.queues.add(queue, 'held', { n: 1 }, { id: 'held' })
    await until('it is busy', () => busy.running === 1)
    const value = redis.queues.runJob(queue, 'elsewhere', { n: 1 }, { id: 'a' })
    const other = await redis.another()
    const consumer = other.queues.consume(queue, async () => 'there', { schema })

    expect(await value).to.equal('there')
    finish()
    await Promise.all([busy.close(), consumer.close()])
  })

  it('return the stored value of a job that was completed before', async () => {
    let runs = 0
    const consumer = redis.queues.consume(queue, async () => ++runs, { schema })
    await redis.queues.runJob(queue, 'count', { n: 1 }, { id: 'a' })

    const again = await redis.queues.runJob(queue, 'count', { n: 1 }, { id: 'a' })

    expect(again).to.equal(1)
    expect(runs).to.equal(1)
    await consumer.close()
  })

  it('list every queue that was used', async () => {
    await redis.queues.add(queue, 'x', { n: 1 }, { id: 'a' })

    expect(await redis.queues.names()).to.include(queue)
  })

  it('show jobs with progress, log, attempts and result', async () => {
    const consumer = redis.queues.consume(
      queue,
      async (job) => {
        await job.updateProgress({ progress: 0.5 })
        await job.log('half way')
        return 'done'
      },
      { schema },
    )
    await redis.queues.runJob(queue, 'shown', { n: 1 }, { id: 'a' })

    const [job] = await redis.queues.jobs(queue, ['completed'])

    expect(job).to.include({ id: 'a', name: 'shown', state: 'completed', attemptsMade: 1, result: 'done' })
    expect(job?.progress).to.deep.equal({ progress: 0.5 })
    expect(await redis.queues.logs(queue, 'a')).to.deep.equal(['half way'])
    expect((await redis.queues.counts(queue)).completed).to.equal(1)
    await consumer.close()
  })

  it('try a transient failure again until it succeeds, and log why', async () => {
    let runs = 0
    const consumer = redis.queues.consume(
      queue,
      async () => {
        runs++
        if (runs < 6) throw new LoopfleetError('LF_TEST', 'The Loop is away.', { failure: 'transient' })
        return runs
      },
      { schema },
    )

    expect(await redis.queues.runJob(queue, 'x', { n: 1 }, { id: 'a', backOff: soon })).to.equal(6)
    const line = 'attempt 1 failed: The Loop is away.; the next one in 1 s'
    expect(await redis.queues.logs(queue, 'a')).to.include(line)
    await consumer.close()
  })

  it('try a transient failure no more often than is asked for', async () => {
    let runs = 0
    const consumer = redis.queues.consume(
      queue,
      async () => {
        runs++
        throw new LoopfleetError('LF_TEST', `Run ${runs} failed.`, { failure: 'transient' })
      },
      { schema },
    )

    const options = { id: 'a', attempts: 3, backOff: soon }
    const error = await rejection(redis.queues.runJob(queue, 'x', { n: 1 }, options))

    expect(runs).to.equal(3)
    expect(error).to.include({ failure: 'transient', reasonCode: 'LF_TEST', reason: 'Run 3 failed.' })
    await consumer.close()
  })

  for (const error of [
    Object.assign(new Error("EACCES: permission denied, unlink '/data/x'"), { code: 'EACCES' }),
    Object.assign(new Error('no such file'), { code: 'ENOENT' }),
    new Error('The driver is confused.'),
    'a text that was thrown',
  ]) {
    it(`give up what nobody has classified after ten attempts: ${String(error)}`, async () => {
      let runs = 0
      const consumer = redis.queues.consume(
        queue,
        async () => {
          runs++
          throw error
        },
        { schema },
      )

      const failed = await rejection(redis.queues.runJob(queue, 'x', { n: 1 }, { id: 'a', backOff: soon }))

      expect(runs).to.equal(10)
      expect(failed).to.include({ reasonCode: 'LF_UNEXPECTED', failure: 'fatal' })
      expect(failed.message).to.contain('(given up after 10 attempts)')
      await consumer.close()
    })
  }

  for (const code of ['ECONNREFUSED', 'EAI_AGAIN', 'ENOSPC', 'EMFILE', 'UND_ERR_SOCKET']) {
    it(`try ${code} again for as long as it takes`, async () => {
      let runs = 0
      const consumer = redis.queues.consume(
        queue,
        async () => {
          runs++
          if (runs < 12) throw Object.assign(new Error(code), { code })
          return runs
        },
        { schema },
      )

      expect(await redis.queues.runJob(queue, 'x', { n: 1 }, { id: 'a', backOff: soon })).to.equal(12)
      await consumer.close()
    })
  }

  it('never try a fatal failure again', async () => {
    let runs = 0
    const consumer = redis.queues.consume(
      queue,
      async () => {
        runs++
        throw new LoopfleetError('LF_TEST', 'There are no images.')
      },
      { schema },
    )

    const error = await rejection(redis.queues.runJob(queue, 'x', { n: 1 }, { id: 'a' }))

    expect(runs).to.equal(1)
    expect(error.message).to.equal('Job a failed: There are no images.')
    expect(error).to.include({ failure: 'fatal' })
    await consumer.close()
  })

  it('fail a job whose data do not fit, with the field that is wrong', async () => {
    const consumer = redis.queues.consume(queue, async () => 'never', { schema })

    const error = await rejection(redis.queues.runJob(queue, 'x', { n: 'NaN' }, { id: 'a' }))

    expect(error).to.include({ reasonCode: 'LF_JOB_DATA_INVALID' })
    expect(error.message).to.contain('n: ')
    await consumer.close()
  })

  it('fail immediately on a mistake of our own, with its text as it is', async () => {
    const consumer = redis.queues.consume(
      queue,
      async () => {
        throw new TypeError('undefined is not a function')
      },
      { schema },
    )

    const error = await rejection(redis.queues.runJob(queue, 'x', { n: 1 }, { id: 'a', attempts: 1 }))

    expect(error).to.include({
      reasonCode: 'LF_UNEXPECTED',
      reason: 'undefined is not a function',
      failure: 'fatal',
    })
    await consumer.close()
  })

  it('tell who waits that the job was removed', async () => {
    const waiting = rejection(redis.queues.runJob(queue, 'x', { n: 1 }, { id: 'a' }))
    await until('the job is there', async () => (await redis.queues.job(queue, 'a')) !== undefined)

    const opened = new Queue(queue, { connection: redis.link.connection(), prefix: redis.link.prefix })
    await opened.remove('a')
    await opened.close()

    expect(await waiting).to.include({ code: 'LF_JOB_REMOVED' })
  })

  it('leave the job where it is when who waits gives up', async () => {
    const giveUp = new AbortController()
    const waiting = rejection(redis.queues.runJob(queue, 'x', { n: 1 }, { id: 'a', signal: giveUp.signal }))
    await until('the job is there', async () => (await redis.queues.job(queue, 'a')) !== undefined)

    giveUp.abort(new Error('no time'))

    expect(await waiting).to.have.property('message', 'no time')
    expect(await redis.queues.job(queue, 'a')).to.have.property('state', 'waiting')
  })

  it('abort running handlers with the reason, wait for them and hand their jobs back on shutdown', async () => {
    const seen: unknown[] = []
    const consumer = redis.queues.consume(
      queue,
      (_job, signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => {
            seen.push(signal.reason)
            setTimeout(() => reject(signal.reason), 50)
          })
        }),
      { schema, concurrency: 2 },
    )
    await redis.queues.add(queue, 'x', { n: 1 }, { id: 'a' })
    await redis.queues.add(queue, 'x', { n: 2 }, { id: 'b' })
    await until('handlers run', () => consumer.running === 2)

    const reason = new WorkerShutdownError()
    await consumer.close({ cancel: reason })

    expect(seen).to.deep.equal([reason, reason])
    expect(await redis.queues.counts(queue)).to.include({ waiting: 2, active: 0, failed: 0 })
  })

  it('put an urgent job ahead of what waits', async () => {
    const order: string[] = []
    await redis.queues.add(queue, 'x', { n: 1 }, { id: 'a' })
    await redis.queues.add(queue, 'x', { n: 1 }, { id: 'b' })
    await redis.queues.add(queue, 'x', { n: 1 }, { id: 'urgent', lifo: true })

    const consumer = redis.queues.consume(queue, async (job) => order.push(job.id), { schema })
    await until('all are done', () => order.length === 3)

    expect(order).to.deep.equal(['urgent', 'a', 'b'])
    await consumer.close()
  })
})
