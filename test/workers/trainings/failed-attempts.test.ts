import { expect } from 'chai'
import { LoopfleetError } from '../../../src/base/errors.js'
import { createSlots } from '../../../src/executors/gpu/slots.js'
import { stepProgressSchema } from '../../../src/queue/jobs/job-schemas.js'
import { failureOf } from '../../../src/queue/trainings/failure-facts.js'
import type { Stage } from '../../../src/workers/trainings/stages/stage.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'
import { until } from '../../helpers/until.js'
import { type RedisFixture, startRedisFixture } from '../../queue/redis-fixture.js'
import { type Host, type HostOptions, ordersAndRecords, startHost, untilEnded } from './a-host.js'

const programFails = () => new LoopfleetError('LF_TEST', 'The program exited with code 3.', { failure: 'program' })
const loopIsAway = () => new LoopfleetError('LF_TEST', 'The Loop is away.', { failure: 'transient' })
const LONG = { firstMs: 3_600_000, maxMs: 3_600_000 }

describe('attempts at the steps of a training', () => {
  const folder = useTemporaryFolder()
  const closers: (() => Promise<unknown>)[] = []
  let redis: RedisFixture
  let of: ReturnType<typeof ordersAndRecords>
  before(async () => {
    redis = await startRedisFixture()
  })
  after(() => redis.close())
  beforeEach(async () => {
    await redis.link.client.flushall()
    of = ordersAndRecords(redis)
  })
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close()
  })

  async function aHost(options: HostOptions = {}): Promise<Host> {
    const host = await startHost(redis, folder.path, options)
    closers.push(host.shutDown)
    return host
  }

  /** A stage that does one thing after the other, and then ends well. */
  function inTurn(...works: readonly Stage['run'][]): Stage['run'] {
    let attempts = 0
    return async (context, deps) => {
      attempts += 1
      return (await works[attempts - 1]?.(context, deps)) ?? {}
    }
  }
  const fails: Stage['run'] = () => Promise.reject(programFails())
  /** A program that has a best model of this epoch and then fails. */
  const failsAfter =
    (epoch: number | null): Stage['run'] =>
    async ({ training }) => {
      await training.update({ best: { epoch } })
      throw programFails()
    }
  const takes = (host: Host, stage: string) => host.begun.filter((name) => name === stage).length
  const failures = async (id: string) => (await of.trainings.records.load(id))?.failures
  const progress = async (queue: string) => {
    const [job] = await redis.queues.jobs(queue, ['active'])
    return stepProgressSchema.safeParse(job?.progress).data
  }

  it('follow each other in one job, whose log has each of them; the Loop sees the error until one makes progress', async () => {
    let seen: unknown
    const host = await aHost({
      stages: {
        'upload-model': inTurn(
          () => Promise.reject(loopIsAway()),
          async ({ training }) => {
            seen = (await training.record()).errors
            return {}
          },
        ),
      },
    })
    const id = await of.order()
    await of.ended(id)

    expect(seen).to.deep.equal({ upload_model: 'The Loop is away.' })
    expect(takes(host, 'upload-model')).to.equal(2)
    expect(await of.record(id)).to.deep.include({ outcome: 'completed', errors: {} })
    expect(failureOf(await of.record(id))).to.include({ stage: 'upload-model', attempt: 1, failure: 'transient' })
    const jobs = (await redis.queues.jobs('host-a.upload', ['completed'])).filter(({ name }) => name === 'upload-model')
    expect(jobs).to.have.lengthOf(1)
    const log = (await redis.queues.logs('host-a.upload', jobs[0]?.id ?? '')).join('\n')
    expect(log).to.include('run 1, attempt 1').and.include('failed: The Loop is away.').and.include('run 1, attempt 2')
  })

  it('of a program that fails are three, and the training fails with its cause', async () => {
    const host = await aHost({ stages: { convert: fails } })
    const id = await of.order()
    await of.ended(id)

    expect(takes(host, 'convert')).to.equal(3)
    const record = await of.record(id)
    expect(record).to.deep.include({ outcome: 'failed', errors: { upload_model: 'The program exited with code 3.' } })
    expect(failureOf(record)).to.include({ stage: 'convert', attempt: 3, failure: 'program' })
  })

  it('are counted over the runs of a training', async () => {
    const first = await aHost({ backOff: LONG, stages: { train: fails } })
    const id = await of.order()
    await until('it has failed once', async () => (await failures(id)) === 1)
    await first.shutDown()

    const second = await aHost({ hostId: 'host-b', stages: { train: fails } })
    await of.ended(id)

    expect(await of.record(id)).to.include({ outcome: 'failed', run: 2 })
    expect(takes(second, 'train')).to.equal(2)
  })

  it('are counted from zero again after a best model of a later epoch', async () => {
    const host = await aHost({ stages: { train: inTurn(fails, failsAfter(1), failsAfter(2), fails) } })
    const id = await of.order()
    await of.ended(id)

    expect(await of.record(id)).to.include({ outcome: 'completed' })
    expect(takes(host, 'train')).to.equal(5)
  })

  describe('after a failure', () => {
    const gpus = () => createSlots({ gpus: [0, 1] })
    /** Notes the GPUs of each attempt, and does what the test says. */
    const noting =
      (seen: (readonly number[] | undefined)[], work: Stage['run']): Stage['run'] =>
      (context, deps) => {
        seen.push(context.training.lease?.slots)
        return work(context, deps)
      }
    const other = {
      ...{ hostId: 'host-b', isAlive: true, isDraining: false, trainers: ['quick'], converters: [], notServed: [] },
      ...{
        protocol: 2,
        gpuState: null,
        free: 1,
        full: [],
        preflights: [],
        places: 1,
        trainings: [],
        gpus: null,
        errors: [],
      },
      ...{ pid: 1, seenAt: 0, suspended: [] },
    }

    it('use another GPU, and the record says where each was', async () => {
      const seen: (readonly number[] | undefined)[] = []
      await aHost({ slots: gpus(), definition: { gpus: 1 }, stages: { train: noting(seen, fails) } })
      const id = await of.order()
      await of.ended(id)

      expect(seen).to.deep.equal([[0], [1], [0]])
      const { failedAttempts } = await of.record(id)
      expect(failedAttempts.map(({ gpus: used }) => used.map(({ index }) => index))).to.deep.equal(seen)
      expect(failedAttempts[0]).to.deep.include({ hostId: 'host-a', name: 'quick', cause: 'program', epoch: null })
    })

    it('are on another host at last, which does not leave the training to the first', async () => {
      const first = await aHost({ fleet: [other], stages: { train: fails } })
      const id = await of.order()
      await until('it waits for another host', async () => (await of.record(id)).avoid.length > 0)
      const waiting = await of.record(id)
      const second = await aHost({ hostId: 'host-b', fleet: [{ ...other, hostId: 'host-a' }] })
      await of.ended(id)

      expect(waiting).to.deep.include({ life: 'waiting', avoid: ['host-a'], failures: 2 })
      expect([takes(first, 'train'), takes(second, 'train')]).to.deep.equal([2, 1])
      expect(await of.record(id)).to.deep.include({ outcome: 'completed', hostId: 'host-b', errors: {} })
    })

    it('are on every host before it fails, and its sentence names them', async () => {
      await aHost({ fleet: [other], stages: { train: fails } })
      const id = await of.order()
      await until('it waits for another host', async () => (await of.record(id)).avoid.length > 0)
      await aHost({ hostId: 'host-b', fleet: [{ ...other, hostId: 'host-a' }], stages: { train: fails } })
      await of.ended(id)

      const sentence = 'It fails on every host (host-a, host-b): The program exited with code 3.'
      expect(await of.record(id)).to.deep.include({ outcome: 'failed', errors: { run_training: sentence } })
    })

    it('stay on a host that has what the training has brought so far', async () => {
      const host = await aHost({ fleet: [other], stages: { train: inTurn(failsAfter(1), fails, fails, fails) } })
      const id = await of.order()
      await of.ended(id)

      expect(takes(host, 'train')).to.equal(4)
      expect(await of.record(id)).to.deep.include({ outcome: 'failed', run: 1 })
    })

    it('go on with the host that has it when no other one lives any more', async () => {
      const fleet = [other]
      const host = await aHost({ fleet, stages: { train: inTurn(fails, fails) } })
      const id = await of.order()
      await until('it waits for another host', async () => (await of.record(id)).avoid.length > 0)
      fleet.length = 0
      host.engine.wake()
      await of.ended(id)

      expect(await of.record(id)).to.deep.include({ outcome: 'completed', hostId: 'host-a' })
    })

    it('are not counted as long as each comes to a later epoch, twenty times within a day', async () => {
      const works = Array.from({ length: 25 }, (_, index) => failsAfter(index + 1))
      const host = await aHost({ backOff: { firstMs: 1, maxMs: 1 }, stages: { train: inTurn(...works) } })
      const id = await of.order()
      await of.ended(id)

      const sentence = 'It failed 20 times within a day, the last time so: The program exited with code 3.'
      expect(takes(host, 'train')).to.equal(20)
      expect(await of.record(id)).to.deep.include({ outcome: 'failed', errors: { run_training: sentence } })
    })
  })

  for (const [what, epochs] of [
    ['of an epoch that it has had', [3, 2, 3]],
    ['of no known epoch', [null, null, null]],
  ] as const) {
    it(`are not counted from zero again after a best model ${what}`, async () => {
      const id = await of.order()
      await of.dies(id, ({ update }) => update({ facts: { furthestEpoch: 3 } }))
      const host = await aHost({ stages: { train: inTurn(...epochs.map(failsAfter)) } })
      await of.ended(id)

      expect(await of.record(id)).to.include({ outcome: 'failed' })
      expect(takes(host, 'train')).to.equal(3)
    })
  }

  it('with an error that nobody has classified are ten', async () => {
    const host = await aHost({
      backOff: { firstMs: 1, maxMs: 1 },
      stages: { 'upload-model': () => Promise.reject(new Error('EACCES: permission denied')) },
    })
    const id = await of.order()
    await of.ended(id)

    expect(takes(host, 'upload-model')).to.equal(10)
    const [job] = await redis.queues.jobs('host-a.upload', ['failed'])
    expect(await redis.queues.logs('host-a.upload', job?.id ?? '')).to.include(
      'upload-model given up after 10 attempts',
    )
    expect(await of.record(id)).to.deep.include({
      outcome: 'failed',
      errors: { upload_model: 'EACCES: permission denied' },
    })
  })

  describe('that wait for the next one', () => {
    it('say so in the progress of their job, and end with an abort', async () => {
      const host = await aHost({ backOff: LONG, stages: { 'upload-model': () => Promise.reject(loopIsAway()) } })
      const id = await of.order()
      await until('it waits', async () => (await progress('host-a.upload'))?.message !== undefined)
      const shown = await progress('host-a.upload')

      await of.trainings.request(id, 'abort', 'test')
      await of.ended(id)

      expect(shown?.message).to.match(/^attempt 2 in \d{4} s: The Loop is away\.$/)
      expect(await of.record(id)).to.include({ outcome: 'aborted' })
      expect(takes(host, 'upload-model')).to.equal(1)
    })

    it('end with the worker, and the next one tries without waiting', async () => {
      const away = () => Promise.reject(loopIsAway())
      const host = await aHost({ backOff: LONG, stages: { 'upload-model': away } })
      const id = await of.order()
      await until('it waits', async () => (await progress('host-a.upload'))?.message !== undefined)

      await host.shutDown()
      const next = await aHost({ stages: { 'upload-model': inTurn() } })
      await of.ended(id)

      expect(await of.record(id)).to.include({ outcome: 'completed', run: 2 })
      expect(takes(next, 'upload-model')).to.equal(1)
    })

    it('ask the training what a stop keeps', async () => {
      const host = await aHost({
        backOff: LONG,
        stages: { train: inTurn(fails, async ({ signal }) => ({ stopped: signal.aborted })) },
      })
      const id = await of.order()
      await until('it waits', async () => (await progress('host-a.train'))?.message !== undefined)

      await of.trainings.request(id, 'stop', 'test')
      await of.ended(id)

      const { outcome, steps } = await of.record(id)
      expect([outcome, steps.train?.result]).to.deep.equal(['completed', { stopped: true }])
      expect(takes(host, 'train')).to.equal(2)
    })

    it('are ended when the other download fails for good', async () => {
      const host = await aHost({
        backOff: LONG,
        stages: {
          'download-model': () => Promise.reject(loopIsAway()),
          'download-data': async () => {
            await until('the other one waits', async () => (await progress('host-a.download'))?.message !== undefined)
            throw new LoopfleetError('LF_NO_IMAGES', 'no images', { failure: 'fatal' })
          },
        },
      })
      const id = await of.order()
      await of.ended(id)

      expect(await of.record(id)).to.include({ outcome: 'failed' })
      expect(failureOf(await of.record(id))).to.include({ code: 'LF_NO_IMAGES' })
      expect(host.begun).not.to.include('train')
    })
  })

  it('that an abort has ended have not failed', async () => {
    const host = await aHost({ stages: { detect: untilEnded } })
    const id = await of.order()
    await until('it detects', () => host.begun.includes('detect'))

    await of.trainings.request(id, 'abort', 'test')
    await of.ended(id)

    expect(failureOf(await of.record(id))).to.equal(undefined)
  })
})
