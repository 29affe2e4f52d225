import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { z } from 'zod'
import { silentLogger } from '../../src/base/logger/logger.js'
import { waitForJob } from '../../src/queue/jobs/run-job.js'
import { recordKeys } from '../../src/queue/records/record-keys.js'
import { createTrainings } from '../../src/queue/trainings/trainings.js'
import { rejection } from '../helpers/rejection.js'
import { until } from '../helpers/until.js'
import { type RedisFixture, startRedisFixture } from './redis-fixture.js'

const schema = z.object({ n: z.number() })

describe('while Redis is killed and comes back', function () {
  this.timeout(60_000)
  let redis: RedisFixture
  beforeEach(async () => {
    redis = await startRedisFixture()
  })
  afterEach(() => redis.close())

  async function killRedis(): Promise<void> {
    const { pid } = redis.server
    process.kill(pid, 'SIGKILL')
    await until('Redis is back', () => redis.server.pid !== pid)
  }

  it('a running job goes on and its value arrives', async () => {
    let runs = 0
    let finish: () => void = () => undefined
    const hold = () => {
      runs++
      return new Promise<string>((resolve) => {
        finish = () => resolve('done')
      })
    }
    const consumer = redis.queues.consume('outage.1', hold, { schema })
    const value = redis.queues.runJob('outage.1', 'x', { n: 1 }, { id: 'a' })
    await until('it runs', () => runs === 1)

    await killRedis()
    finish()

    expect(await value).to.equal('done')
    expect(runs).to.equal(1)
    await consumer.close()
  })

  for (const [what, { concurrency, endsMeanwhile, signal }] of Object.entries({
    'goes on although Redis was away for longer than its lock lives': {
      concurrency: 1,
      endsMeanwhile: false,
      signal: 'SIGCONT',
    },
    'is handled once although it was given out again beside its handler': {
      concurrency: 2,
      endsMeanwhile: false,
      signal: 'SIGCONT',
    },
    'is not handled again when it has ended while Redis was away': {
      concurrency: 1,
      endsMeanwhile: true,
      signal: 'SIGCONT',
    },
    'is handled once although Redis was killed after its lock had run out': {
      concurrency: 2,
      endsMeanwhile: false,
      signal: 'SIGKILL',
    },
  } as const))
    it(`a running job ${what}`, async () => {
      let takes = 0
      const ends: unknown[] = []
      let finish: () => void = () => undefined
      const hold = (_job: unknown, signal: AbortSignal) => {
        takes++
        signal.addEventListener('abort', () => ends.push(signal.reason))
        return new Promise<string>((resolve) => (finish = () => resolve('done')))
      }
      const consumer = redis.queues.consume('outage.long', hold, { schema, concurrency })
      const value = redis.queues.runJob('outage.long', 'x', { n: 1 }, { id: 'a' })
      await until('it runs', () => takes === 1)

      const { pid } = redis.server
      process.kill(pid, 'SIGSTOP')
      await sleep(7_000) // longer than the lock lives
      if (endsMeanwhile) finish()
      process.kill(pid, signal)
      await sleep(3_000) // it is given out again
      finish()

      expect(await value).to.equal('done')
      expect({ takes, ends }).to.deep.equal({ takes: 1, ends: [] })
      await consumer.close()
    })

  it('no accepted job is lost and none runs twice, five kills long', async function () {
    this.timeout(90_000)
    const runs = new Map<string, number>()
    const count = async (job: { readonly id: string }) => {
      runs.set(job.id, (runs.get(job.id) ?? 0) + 1)
      return job.id
    }
    const other = await redis.another()
    const consumer = other.queues.consume('outage.2', count, { schema, concurrency: 4 })
    const results: Promise<unknown>[] = []

    for (let kill = 0; kill < 5; kill++) {
      for (let n = 0; n < 20; n++) {
        results.push(redis.queues.runJob('outage.2', 'x', { n }, { id: `k${kill}-${n}` }))
      }
      await until('some are done', () => runs.size > kill * 20 + 5)
      await killRedis()
    }
    const killedAt = performance.now()
    const values = await Promise.all(results)

    expect(performance.now() - killedAt).to.be.below(10_000)
    expect(values).to.have.lengthOf(100)
    expect(runs.size).to.equal(100)
    const twice = [...runs].filter(([, times]) => times > 1)
    expect(twice).to.deep.equal([])
    await consumer.close()
  })

  it('a running job goes on, and its value arrives, although Redis has forgotten it', async () => {
    let finish: () => void = () => undefined
    const reasons: unknown[] = []
    const hold = (_job: unknown, signal: AbortSignal) => {
      signal.addEventListener('abort', () => reasons.push(signal.reason))
      return new Promise<string>((resolve) => (finish = () => resolve('done')))
    }
    const consumer = redis.queues.consume('outage.empty', hold, { schema })
    const value = redis.queues.runJob('outage.empty', 'x', { n: 1 }, { id: 'a' })
    await until('it runs', () => consumer.running === 1)

    await redis.link.client.flushall()
    await sleep(7_000) // longer than its lock lives
    finish()

    expect(await value).to.equal('done')
    expect(reasons).to.deep.equal([])
    await consumer.close()
  })

  it('a failure of a job that Redis has forgotten arrives, too', async () => {
    let fail: () => void = () => undefined
    const hold = () => new Promise<string>((_resolve, reject) => (fail = () => reject(new TypeError('odd'))))
    const consumer = redis.queues.consume('outage.empty', hold, { schema })
    const value = redis.queues.runJob('outage.empty', 'x', { n: 1 }, { id: 'a' })
    await until('it runs', () => consumer.running === 1)

    await redis.link.client.flushall()
    fail()

    expect(await rejection(value)).to.include({ code: 'LF_JOB_FAILED', reason: 'odd' })
    await consumer.close()
  })

  it('queues are listed, and repeat their jobs, in a Redis that came back empty', async () => {
    let turns = 0
    const consumer = redis.queues.consume('outage.repeats', async () => ++turns, { schema })
    await redis.queues.repeat('outage.repeats', 'x', { n: 1 }, { id: 'r', everyMs: 300 })
    await until('it repeats', () => turns > 1)

    await redis.link.client.flushall()
    await killRedis()
    const before = turns
    await until('it repeats again', () => turns > before + 1)

    expect(await redis.queues.names()).to.deep.equal(['outage.repeats'])
    await redis.queues.stopRepeating('outage.repeats', 'r')
    await consumer.close()
  })

  it('watchers of trainings hear of every unfinished training again', async () => {
    const trainings = createTrainings(redis.link, {}, { log: silentLogger() })
    await redis.link.client.zadd(recordKeys(redis.link).open('training'), 1, 'abc')
    const heard: string[] = []
    const watch = await trainings.watch((id) => heard.push(id))

    await killRedis()

    await until('they are told', () => heard.includes('abc'))
    await watch.close()
  })
})

describe('a job whose events are lost', () => {
  for (const [whose, isLocal] of [
    ['of another process', false],
    ['of our own', true],
  ] as const)
    it(`${whose} is found done by looking again`, async () => {
      const redis = await startRedisFixture()
      const events = { listen: async () => () => undefined, outcomeOf: () => undefined, isLocal: () => isLocal }
      const consumer = redis.queues.consume('deaf', async (job) => job.data.n, { schema })

      const begin = () => redis.queues.add('deaf', 'x', { n: 7 }, { id: 'a' })
      const value = await waitForJob({ queue: 'deaf', id: 'a' }, {}, { link: redis.link, events, begin })

      expect(value).to.equal(7)
      await consumer.close()
      await redis.close()
    })
})

describe('closing', () => {
  it('needs no Redis', async function () {
    this.timeout(20_000)
    const redis = await startRedisFixture()
    const consumer = redis.queues.consume('closing', async () => 1, { schema })
    await redis.queues.runJob('closing', 'x', { n: 1 }, { id: 'a' })
    await redis.server.close()

    const startedAt = performance.now()
    await consumer.close({ cancel: new Error('down') })
    await redis.close()

    expect(performance.now() - startedAt).to.be.below(9_000)
  })
})
