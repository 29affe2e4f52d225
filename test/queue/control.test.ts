import { expect } from 'chai'
import { type Control, createControl } from '../../src/queue/control.js'
import { trainingJobSchema } from '../../src/queue/job-schemas.js'
import { createJournal, type Journal } from '../../src/queue/journal.js'
import { queueNames } from '../../src/queue/names.js'
import { until } from '../helpers/until.js'
import { anOrder, hostA, seatA } from './orders.js'
import { type RedisFixture, startRedisFixture } from './redis-fixture.js'

const queue = queueNames.trainings('shapes')

describe('control', () => {
  let redis: RedisFixture
  let journal: Journal
  let control: Control
  let id: string
  before(async () => {
    redis = await startRedisFixture()
    journal = createJournal(redis.link)
    control = createControl(redis.link, journal, redis.queues, { lookAgainMs: 50 })
  })
  after(() => redis.close())
  beforeEach(async () => {
    await redis.link.client.flushall()
    const answer = await journal.accept({ order: anOrder(), trainer: 'shapes', seat: seatA })
    id = answer.outcome === 'refused' ? '' : answer.training.id
    await redis.queues.add(queue, 'training', { trainingId: id }, { id })
  })

  it('takes the job of a training that it ends out of the queue', async () => {
    expect(await control.request(id, 'stop', 'test')).to.equal('ended')

    expect(await redis.queues.job(queue, id)).to.equal(undefined)
    expect(await control.pending(id)).to.equal(null)
  })

  it('ends a training whose job was never queued', async () => {
    await redis.queues.remove(queue, id)

    expect(await control.request(id, 'stop', 'test')).to.equal('ended')
  })

  describe('of a training that a worker has', () => {
    let release: () => void
    let consumer: { close(): Promise<void> }
    beforeEach(async () => {
      const handler = () => new Promise<void>((resolve) => (release = resolve))
      consumer = redis.queues.consume(queue, handler, { schema: trainingJobSchema })
      await until('the job is taken', () => redis.queues.isActive(queue, id))
    })
    afterEach(async () => {
      release()
      await consumer.close()
    })

    it('keeps the request until it is obeyed, and an abort wins over a stop', async () => {
      expect(await control.request(id, 'stop', 'test')).to.equal('asked')
      expect(await control.pending(id)).to.equal('stop')
      await control.request(id, 'abort', 'test')
      await control.request(id, 'stop', 'test')

      expect(await control.pending(id)).to.equal('abort')
      await control.clear(id)
      expect(await control.pending(id)).to.equal(null)
    })

    it('tells another process of each request once', async () => {
      const other = await redis.another()
      const heard: string[] = []
      const watch = await createControl(other.link, createJournal(other.link), other.queues, {
        lookAgainMs: 20,
      }).watch((training, kind) => heard.push(`${training === id} ${kind}`))

      await control.request(id, 'stop', 'test')
      await until('the stop is heard', () => heard.length === 1)
      await control.request(id, 'abort', 'test')
      await until('the abort is heard', () => heard.length === 2)

      expect(heard).to.deep.equal(['true stop', 'true abort'])
      await watch.close()
    })

    it('tells a process that comes later', async () => {
      await control.request(id, 'stop', 'test')
      const heard: string[] = []

      const watch = await control.watch((_id, kind) => heard.push(kind))

      expect(heard).to.deep.equal(['stop'])
      await watch.close()
    })

    it('finds a request whose message was lost', async () => {
      const heard: string[] = []
      const watch = await control.watch((_id, kind) => heard.push(kind))

      await redis.link.client.hset('{loopfleet}:control', id, JSON.stringify({ kind: 'abort', by: 'x', mark: 'y' }))

      await until('the request is found', () => heard.length === 1)
      await watch.close()
    })

    it('is not misled by what somebody else wrote', async () => {
      await redis.link.client.hset('{loopfleet}:control', { a: 'stop', [id]: '{"kind":"delete"}' })
      const heard: string[] = []

      const watch = await control.watch((_id, kind) => heard.push(kind))

      expect(heard).to.deep.equal([])
      expect(await control.pending(id)).to.equal(null)
      await watch.close()
    })
  })

  it('queues a failed training again', async () => {
    const consumer = redis.queues.consume(
      queue,
      async (job) => {
        const run = await journal.beginRun(job.data.trainingId, hostA)
        const outcome = run === 1 ? 'failed' : 'completed'
        await journal.finish(job.data.trainingId, run, { outcome })
        if (outcome === 'failed') throw new Error('no')
      },
      { schema: trainingJobSchema },
    )
    await redis.queues.remove(queue, id)
    await redis.queues.add(queue, 'training', { trainingId: id }, { id, attempts: 1 })
    await until('it failed', async () => (await redis.queues.job(queue, id))?.state === 'failed')

    expect(await control.retry(id)).to.have.property('outcome', 'reopened')

    await until('it completed', async () => (await journal.load(id))?.outcome === 'completed')
    await consumer.close()
  })
})
