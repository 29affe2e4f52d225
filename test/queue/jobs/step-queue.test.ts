import { Queue } from 'bullmq'
import { expect } from 'chai'
import { silentLogger } from '../../../src/base/logger/logger.js'
import { createQueues } from '../../../src/queue/jobs/queues.js'
import type { StepQueue } from '../../../src/queue/jobs/step-queue.js'
import { openRedis } from '../../../src/queue/redis/open-redis.js'
import { startNodeScript } from '../../helpers/node-script.js'
import { rejection } from '../../helpers/rejection.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'
import { until } from '../../helpers/until.js'
import { startOwnRedis } from '../own-redis.js'
import { type RedisFixture, startRedisFixture } from '../redis-fixture.js'

const signal = new AbortController().signal
const holdsAStep = new URL('../../fixtures/programs/holds-a-step', import.meta.url)
const NAME = 'host-a.conversions'
const step = { id: 'c1', born: 'b1', run: 1, step: 'convert' }

describe('the steps of a host', () => {
  let redis: RedisFixture
  const folder = useTemporaryFolder()
  const closers: (() => Promise<unknown>)[] = []
  before(async () => {
    redis = await startRedisFixture()
  })
  after(() => redis.close())
  beforeEach(() => redis.link.client.flushall())
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close()
  })

  async function start(): Promise<StepQueue> {
    const steps = redis.queues.steps(NAME)
    closers.push(() => steps.stop())
    await steps.start({ signal })
    return steps
  }

  it('run as jobs with progress and log, and answer what their work answers', async () => {
    const steps = await start()

    const answer = await steps.run(
      step,
      async (handle) => {
        await handle.updateProgress({ progress: 0.5 })
        await handle.log('one', 'two')
        return ['a file']
      },
      { signal },
    )

    expect(answer).to.deep.equal(['a file'])
    await until('the job is done', async () => (await redis.queues.job(NAME, 'c1.1.convert.b1'))?.state === 'completed')
    expect((await redis.queues.logs(NAME, 'c1.1.convert.b1')).join('\n')).to.equal('one\ntwo')
    expect(await redis.queues.names()).to.include(NAME)
  })

  it('throw what their work throws, and show it as a failed job', async () => {
    const steps = await start()
    const failure = new Error('no such layer')

    expect(await rejection(steps.run(step, () => Promise.reject(failure), { signal }))).to.equal(failure)
    await until('the job has failed', async () => (await redis.queues.job(NAME, 'c1.1.convert.b1'))?.state === 'failed')
    expect((await redis.queues.job(NAME, 'c1.1.convert.b1'))?.failure?.message).to.equal('no such layer')
  })

  it('of a record that was made again are not taken for those of the lost one, which had the same run', async () => {
    const steps = await start()
    await rejection(steps.run(step, () => Promise.reject(new Error('its record is lost')), { signal }))

    expect(await steps.run({ ...step, born: 'b2' }, async () => 'done', { signal })).to.equal('done')
  })

  it('of a killed worker are removed when the next one starts, locked or not', async () => {
    const holder = await startNodeScript(holdsAStep, [redis.server.url, NAME])
    const queue = new Queue(NAME, { connection: redis.link.connection(), prefix: redis.link.prefix })
    closers.push(() => queue.close())
    await queue.add('convert', {}, { jobId: 'c1.1.convert.b1' })
    await until('it runs', async () => (await queue.getJobState('c1.1.convert.b1')) === 'active')
    await holder.kill('SIGKILL')

    const steps = await start()

    expect(await redis.queues.job(NAME, 'c1.1.convert.b1')).to.equal(undefined)
    expect(await steps.run(step, async () => 'again', { signal })).to.equal('again')
  })

  it('that have not begun are left when their run ends', async () => {
    const end = new AbortController()
    const steps = await start()
    const running = steps.run(step, () => new Promise(() => undefined), end)
    running.catch(() => undefined)
    end.abort(new Error('the run ends'))

    const second = steps.run({ ...step, run: 2 }, async () => 'not done', end)

    expect(await rejection(second)).to.have.property('message', 'the run ends')
  })

  it('go on while Redis is unreachable, and are added again when it comes back without them', async () => {
    const own = await startOwnRedis(folder.path)
    const log = silentLogger()
    const link = await openRedis(own.url, { log })
    const queues = createQueues(link, { log })
    const steps = queues.steps(NAME)
    closers.push(
      () => own.close(),
      () => link.close(),
      () => queues.close(),
      () => steps.stop(),
    )
    await steps.start({ signal })
    let finish: (text: string) => void = () => undefined
    const begun = new Promise<void>((resolve) => {
      const first = steps.run(
        step,
        () => {
          resolve()
          return new Promise<string>((done) => (finish = done))
        },
        { signal },
      )
      closers.push(async () => expect(await first).to.equal('done'))
    })
    await begun

    await own.kill()
    const second = steps.run({ ...step, id: 'c2' }, async () => 'second', { signal })
    finish('done')
    await own.start(`${folder.path}/empty`)

    expect(await second).to.equal('second')
  })
})
