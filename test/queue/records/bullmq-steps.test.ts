import process from 'node:process'
import { Queue, QueueEvents, Worker, type WorkerOptions } from 'bullmq'
import { expect } from 'chai'
import { createRecords, type Records } from '../../../src/queue/records/records.js'
import { startNodeScript } from '../../helpers/node-script.js'
import { until } from '../../helpers/until.js'
import { type RedisFixture, startRedisFixture } from '../redis-fixture.js'
import { claimAs, createSample, hostA, type SamplePayload, sampleTraining } from './sample-records.js'

const DAY_MS = 86_400_000
const holdsAStep = new URL('../../fixtures/programs/holds-a-step', import.meta.url)

/** The settings of a host's step queue: the record's lease says whether the host lives, so nothing else may. */
const stepSettings = { lockDuration: 30 * DAY_MS, skipStalledCheck: true } as const satisfies Partial<WorkerOptions>

/** Shows what decision 21 rests on, with the BullMQ that is installed. */
describe('BullMQ as what runs the steps of a record', () => {
  let redis: RedisFixture
  let records: Records<SamplePayload>
  let queue: Queue
  let events: QueueEvents
  const closers: (() => Promise<unknown>)[] = []
  let count = 0
  before(async () => {
    redis = await startRedisFixture()
    records = createRecords(redis.link, sampleTraining)
  })
  after(() => redis.close())
  beforeEach(async () => {
    queue = new Queue(`host${++count}.train`, shared())
    events = new QueueEvents(queue.name, shared())
    await events.waitUntilReady()
    closers.push(
      () => queue.close(),
      () => events.close(),
    )
  })
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close()
  })

  const shared = () => ({ connection: redis.link.connection(), prefix: redis.link.prefix })

  function startWorker(work: (id: string) => Promise<unknown>, settings: Partial<WorkerOptions> = {}): Worker {
    const worker = new Worker(queue.name, async (job) => work(job.id ?? ''), {
      ...shared(),
      ...stepSettings,
      ...settings,
    })
    worker.on('error', () => undefined)
    closers.push(() => worker.close())
    return worker
  }

  /** The steps that the record lacks, as the next run makes them. */
  async function addMissingSteps(id: string, run: number): Promise<readonly string[]> {
    const done = (await records.load(id))?.payload.steps ?? {}
    const missing = ['download', 'train', 'upload'].filter((step) => done[step] === undefined)
    for (const step of missing) await queue.add(step, { id, run }, { jobId: `${id}.${run}.${step}` })
    return missing
  }

  it('renews locks of 30 days by a timer that Node can keep; with 100 days it would overflow', async () => {
    const overflows: string[] = []
    const onWarning = ({ name, message }: Error) => {
      if (name === 'TimeoutOverflowWarning') overflows.push(message)
    }
    process.on('warning', onWarning)
    closers.push(async () => process.off('warning', onWarning))

    const worker = startWorker(async () => 'done')
    await queue.add('train', {}, { jobId: 'a.1.train' })
    await until('the step is done', async () => (await queue.getJobState('a.1.train')) === 'completed')
    expect(worker.opts.lockRenewTime).to.equal(15 * DAY_MS) // the timer is half of that
    expect(overflows).to.deep.equal([])

    startWorker(async () => 'done', { lockDuration: 100 * DAY_MS })
    await until('the timer overflows', () => overflows.length > 0)
  })

  it('locks a step for 30 days, and lets it finish', async () => {
    let finish: () => void = () => undefined
    startWorker(() => new Promise<void>((resolve) => (finish = resolve)))
    await queue.add('train', {}, { jobId: 'a.1.train' })
    await until('the step runs', async () => (await queue.getJobState('a.1.train')) === 'active')

    const left = await redis.link.client.pttl(`${redis.link.prefix}:${queue.name}:a.1.train:lock`)
    expect(left).to.be.within(29 * DAY_MS, 30 * DAY_MS)
    finish()
    await until('the step is done', async () => (await queue.getJobState('a.1.train')) === 'completed')
  })

  it('is emptied by obliterate, also of a step that a killed worker had locked', async () => {
    const holder = await startNodeScript(holdsAStep, [redis.server.url, queue.name])
    await queue.add('train', {}, { jobId: 'a.1.train' })
    await queue.add('train', {}, { jobId: 'b.1.train' })
    await queue.add('train', {}, { jobId: 'c.1.train', delay: DAY_MS })
    await until('the step runs', async () => (await queue.getJobState('a.1.train')) === 'active')
    await holder.kill('SIGKILL')

    await queue.obliterate({ force: true })

    const left = await redis.link.client.keys(`${redis.link.prefix}:${queue.name}:*`)
    expect(left.filter((key) => !key.endsWith(':meta') && !key.endsWith(':events'))).to.deep.equal([])
    expect(await queue.isPaused()).to.equal(false)
  })

  it('runs the same step again after the queue was emptied, immediately and once', async () => {
    const holder = await startNodeScript(holdsAStep, [redis.server.url, queue.name])
    await queue.add('train', {}, { jobId: 'a.1.train' })
    await until('the step runs', async () => (await queue.getJobState('a.1.train')) === 'active')
    await holder.kill('SIGKILL')
    await queue.obliterate({ force: true })

    const ran: string[] = []
    startWorker(async (id) => ran.push(id))
    await queue.add('train', {}, { jobId: 'a.1.train' })

    await until('it has run', async () => (await queue.getJobState('a.1.train')) === 'completed')
    expect(ran).to.deep.equal(['a.1.train'])
  })

  it('leaves a running step alone when another worker joins', async () => {
    const finish: (() => void)[] = []
    const ran: string[] = []
    const hold = (id: string) => {
      ran.push(id)
      return new Promise<void>((resolve) => finish.push(resolve))
    }
    startWorker(hold)
    await queue.add('train', {}, { jobId: 'a.1.train' })
    await until('the step runs', () => ran.length === 1)
    startWorker(hold, { stalledInterval: 50 })
    await queue.add('train', {}, { jobId: 'b.1.train' })
    await until('the other worker is there', () => ran.length === 2)

    expect(ran).to.deep.equal(['a.1.train', 'b.1.train'])
    for (const each of finish) each()
    await until('both are done', async () => (await queue.getCompletedCount()) === 2)
  })

  it('has each step of a run once, however often the steps are derived from the record', async () => {
    await createSample(records, 't1')
    const claim = await claimAs(records, 't1', hostA)
    await records.update(claim, { steps: { download: { host: 'a' } } }, 'useful')

    await addMissingSteps('t1', claim.run)
    const derived = await addMissingSteps('t1', claim.run)

    expect(derived).to.deep.equal(['train', 'upload'])
    expect((await queue.getWaiting()).map(({ id }) => id)).to.have.members(['t1.1.train', 't1.1.upload'])
  })

  it('has the steps again when the queue has lost them, and leaves out what the record says is done', async () => {
    await createSample(records, 't2')
    const claim = await claimAs(records, 't2', hostA)
    await addMissingSteps('t2', claim.run)
    await records.update(claim, { steps: { download: { host: 'a' }, train: { host: 'a' } } }, 'useful')
    await queue.obliterate({ force: true })

    const ran: string[] = []
    startWorker(async (id) => ran.push(id))
    await addMissingSteps('t2', claim.run)

    await until('the last step has run', () => ran.length === 1)
    expect(ran).to.deep.equal(['t2.1.upload'])
  })

  it('takes progress and log through its own calls, so that its events fire', async () => {
    const reported: unknown[] = []
    events.on('progress', ({ jobId, data }) => reported.push([jobId, data]))
    const worker = new Worker(
      queue.name,
      async (job) => {
        await job.updateProgress({ progress: 0.5 })
        await job.log('half way')
      },
      { ...shared(), ...stepSettings },
    )
    worker.on('error', () => undefined)
    closers.push(() => worker.close())
    await queue.add('train', {}, { jobId: 'a.1.train' })

    await until('the event has come', () => reported.length === 1)
    expect(reported).to.deep.equal([['a.1.train', { progress: 0.5 }]])
    expect((await queue.getJobLogs('a.1.train')).logs).to.deep.equal(['half way'])
  })
})
