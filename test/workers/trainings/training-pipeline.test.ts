import { mkdir, writeFile } from 'node:fs/promises'
import { expect } from 'chai'
import { LoopfleetError } from '../../../src/base/errors.js'
import { silentLogger } from '../../../src/base/logger/logger.js'
import { createSlots } from '../../../src/executors/gpu/slots.js'
import { stages } from '../../../src/queue/jobs/names.js'
import { createQueues } from '../../../src/queue/jobs/queues.js'
import { createLeases } from '../../../src/queue/records/leases.js'
import { openRedis } from '../../../src/queue/redis/open-redis.js'
import type { Stage } from '../../../src/workers/trainings/stages/stage.js'
import { workspacePaths } from '../../../src/workers/workspaces/workspace-paths.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'
import { until } from '../../helpers/until.js'
import { anOrder, seatA, seatB } from '../../queue/orders.js'
import { type RedisFixture, startRedisFixture } from '../../queue/redis-fixture.js'
import { startRedisGate } from '../../queue/redis-gate.js'
import { aPromise, aStep } from '../a-training.js'
import { type Host, type HostOptions, ordersAndRecords, startHost, untilEnded } from './a-host.js'

const isAway = () => Promise.reject(new LoopfleetError('LF_TEST', 'The Loop is away.', { failure: 'transient' }))

/** Goes on until it is ended for the first time. */
function untilStopped(): Stage['run'] {
  let times = 0
  return (context, deps) => {
    times += 1
    return times === 1 ? untilEnded(context, deps) : Promise.resolve({})
  }
}

describe('the pipeline of trainings', () => {
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

  async function aHost(options: HostOptions = {}, there = redis): Promise<Host> {
    const host = await startHost(there, folder.path, options)
    closers.push(host.shutDown)
    return host
  }

  const begins = (host: Host, stage: string) =>
    until(`${stage} has begun`, () => host.begun.some((name) => name === stage))

  it('takes a training through all its stages, ends it as completed, and gives its place back', async () => {
    const host = await aHost({
      stages: {
        detect: async ({ say }) => {
          say('ten images')
          return {}
        },
      },
    })
    const id = await of.order()

    await of.ended(id)
    await until('it has left', () => host.pipeline.active.length === 0)

    expect([...host.begun].sort()).to.deep.equal([...stages].sort())
    expect(host.begun.at(-1)).to.equal('cleanup')
    const done = await of.record(id)
    const ended = { outcome: 'completed', run: 1, hostId: 'host-a', workerPid: 1, state: 'ready_for_cleanup' }
    expect(done).to.deep.include({ ...ended, errors: {} })
    expect(Object.keys(done.steps).sort()).to.deep.equal([...stages].sort())
    expect(await of.trainings.unfinishedOfSeat(seatA.uuid)).to.equal(undefined)
    await until('the place is free', () => host.places.free === 1)
    expect(host.pipeline.held()).to.deep.equal([])
    expect(await redis.link.client.ttl(`{loopfleet}:records:log:${id}`)).to.be.above(0)
  })

  it('makes each step a job on the queue of its kind of work, with progress and log', async () => {
    await aHost({
      stages: {
        detect: async ({ say, progress }) => {
          progress({ progress: 0.5, message: 'half' })
          say('ten images')
          return {}
        },
      },
    })
    const id = await of.order()
    await of.ended(id)

    const [job] = await redis.queues.jobs('host-a.detect', ['completed'])
    expect(job?.data).to.deep.equal({ id, run: 1, step: 'detect' })
    expect(job?.id).to.match(new RegExp(`^${id}\\.1\\.detect\\.`))
    expect(job?.progress).to.include({ progress: 1, message: 'half', attempt: 1 })
    const log = (await redis.queues.logs('host-a.detect', job?.id ?? '')).join('\n').split('\n')
    expect(log[0]).to.equal('detect started on host-a, run 1, attempt 1')
    expect(log).to.include('ten images')
    expect(log.at(-1)).to.match(/^detect done in /)
  })

  it('leaves a training to others while it has no place free', async () => {
    const host = await aHost({ places: 0 })
    const id = await of.order()

    const other = await aHost({ hostId: 'host-b' })
    await of.ended(id)

    expect(host.begun).to.deep.equal([])
    expect(other.begun).to.include('train')
  })

  it('fails a training whose stage fails for good, shows the cause, and goes on from there when it is retried', async () => {
    let isBroken = true
    const host = await aHost({
      stages: {
        'upload-model': async () => {
          if (isBroken) throw new LoopfleetError('LF_TEST', 'The Loop wants no such model.', { failure: 'fatal' })
          return {}
        },
      },
    })
    const id = await of.order()
    await of.ended(id)
    const failed = await of.record(id)
    expect(failed).to.deep.include({ outcome: 'failed', errors: { upload_model: 'The Loop wants no such model.' } })
    expect(failed.facts.failure).to.deep.include({ stage: 'upload-model', code: 'LF_TEST', attempt: 1 })
    expect(host.begun).not.to.include('cleanup')

    isBroken = false
    expect(await of.trainings.retry(id)).to.include({ outcome: 'reopened' })
    await of.ended(id)

    expect(await of.record(id)).to.deep.include({ outcome: 'completed', errors: {} })
    // Nothing lies on the disk of this test, so only what the record alone decides is passed over.
    expect(host.begun.filter((stage) => stage === 'download-model')).to.have.lengthOf(1)
    expect(host.begun.filter((stage) => stage === 'upload-model')).to.have.lengthOf(2)
  })

  it('fails a training that this host cannot run, so that its seat is free again', async () => {
    await aHost({ isUnknown: true })
    const id = await of.order()

    await of.ended(id)

    const failed = await of.record(id)
    expect(failed.outcome).to.equal('failed')
    expect(Object.values(failed.errors).join()).to.include('no trainer "quick"')
    expect(failed.facts.failure).to.include({ code: 'LF_UNKNOWN_TRAINER' })
    expect(await of.trainings.unfinishedOfSeat(seatA.uuid)).to.equal(undefined)
  })

  describe('on an abort', () => {
    it('goes no further, cleans up, and says so', async () => {
      const host = await aHost({ stages: { 'upload-model': untilEnded } })
      const id = await of.order()
      await begins(host, 'upload-model')

      await of.trainings.request(id, 'abort', 'test')
      await of.ended(id)

      expect(await of.record(id)).to.deep.include({ outcome: 'aborted', errors: {} })
      expect(host.begun.slice(-2)).to.deep.equal(['upload-model', 'cleanup'])
    })

    it('that came while its host died ends it, so that no other host takes it up', async () => {
      const id = await of.order()
      await of.dies(id, async () => {
        expect(await of.trainings.request(id, 'abort', 'test')).to.equal('asked')
      })

      expect(await of.record(id)).to.include({ outcome: 'aborted' })
      const host = await aHost()
      const next = await of.order({ trainingNumber: 2 })
      await of.ended(next)

      expect(await of.record(next)).to.include({ outcome: 'completed' })
      expect(host.begun.filter((stage) => stage === 'cleanup')).to.have.lengthOf(1)
    })

    it('during the cleaning up lets it end, and keeps the outcome', async () => {
      const gate = aPromise()
      const host = await aHost({ stages: { cleanup: () => gate.promise.then(() => ({})) } })
      const id = await of.order()
      await begins(host, 'cleanup')

      await of.trainings.request(id, 'abort', 'test')
      await until('it is asked for', () => host.pipeline.active[0]?.stopSwitch.endSignal.aborted)
      gate.resolve()
      await of.ended(id)

      expect(await of.record(id)).to.include({ outcome: 'completed' })
    })
  })

  describe('on a stop', () => {
    it('during the training goes on with the model that the stage keeps', async () => {
      const host = await aHost({
        stages: {
          train: (context, deps) => Promise.resolve(untilEnded(context, deps)).catch(() => ({ stopped: true })),
        },
      })
      const id = await of.order()
      await begins(host, 'train')

      await of.trainings.request(id, 'stop', 'test')
      await of.ended(id)

      expect(await of.record(id)).to.include({ outcome: 'completed' })
      expect(host.begun.slice(-6)).to.deep.equal([
        ...['sync-metrics', 'convert', 'upload-model', 'detect', 'upload-detections', 'cleanup'],
      ])
    })

    it('before there is a model ends it as aborted', async () => {
      const host = await aHost({ stages: { 'download-data': untilEnded, train: untilEnded } })
      const id = await of.order()
      await begins(host, 'download-data')

      await of.trainings.request(id, 'stop', 'test')
      await of.ended(id)

      expect(await of.record(id)).to.include({ outcome: 'aborted' })
      expect(host.begun.slice(-2), 'the training has said that there is none').to.deep.equal(['train', 'cleanup'])
    })

    it('while the data is downloaded uploads the model that the training finds, with the data that conversions may read', async () => {
      const host = await aHost({
        stages: {
          'download-data': untilStopped(),
          train: async ({ signal }) => ({ stopped: signal.aborted }),
        },
      })
      const id = await of.order()
      await begins(host, 'download-data')

      await of.trainings.request(id, 'stop', 'test')
      await of.ended(id)

      expect(await of.record(id)).to.include({ outcome: 'completed' })
      const way = ['train', 'sync-metrics', 'download-data', 'convert', 'upload-model']
      expect(host.begun.filter((stage) => way.includes(stage)).slice(1)).to.deep.equal(way)
    })

    it('whose model cannot be read now tries again instead of throwing it away', async () => {
      let reads = 0
      const host = await aHost({
        stages: {
          'download-data': untilStopped(),
          train: async () => {
            reads += 1
            return reads < 3 ? await isAway() : { stopped: true }
          },
        },
      })
      const id = await of.order()
      await begins(host, 'download-model')

      await of.trainings.request(id, 'stop', 'test')
      await of.ended(id)

      expect(await of.record(id)).to.deep.include({ outcome: 'completed', errors: {} })
      expect(host.begun.filter((stage) => stage === 'train')).to.have.lengthOf(3)
    })

    it('after the training completes it without detections', async () => {
      const gate = aPromise()
      const host = await aHost({ stages: { 'sync-metrics': () => gate.promise.then(() => ({})) } })
      const id = await of.order()
      await begins(host, 'sync-metrics')

      await of.trainings.request(id, 'stop', 'test')
      await until('it has come', () => host.pipeline.active[0]?.stopSwitch.leavesDetectionOut)
      gate.resolve()
      await of.ended(id)

      expect(await of.record(id)).to.include({ outcome: 'completed' })
      expect(host.begun.slice(-3)).to.deep.equal(['convert', 'upload-model', 'cleanup'])
    })

    it('a second time, while it detects, ends the detection', async () => {
      const host = await aHost({
        stages: {
          train: (context, deps) => Promise.resolve(untilEnded(context, deps)).catch(() => ({ stopped: true })),
          detect: untilEnded,
        },
      })
      const id = await of.order()
      await begins(host, 'train')
      await of.trainings.request(id, 'stop', 'test')
      await begins(host, 'detect')

      await of.trainings.request(id, 'stop', 'test')
      await of.ended(id)

      expect(await of.record(id)).to.include({ outcome: 'completed' })
      expect(host.begun.slice(-2)).to.deep.equal(['detect', 'cleanup'])
    })

    for (const [what, result, stagesLeft] of [
      ['before the training had ended', undefined, ['train', 'sync-metrics', 'convert', 'upload-model', 'detect']],
      ['and was obeyed by the training', { stopped: true }, ['sync-metrics', 'convert', 'upload-model', 'detect']],
      ['after the training', { stopped: false }, ['sync-metrics', 'convert', 'upload-model', 'cleanup']],
    ] as const) {
      it(`that came while no worker lived, ${what}, is obeyed by the next run`, async () => {
        const id = await of.order()
        const { imageData, models } = workspacePaths(folder.path, anOrder(), id)
        await mkdir(models, { recursive: true })
        await writeFile(imageData, '{}')
        await of.dies(id, async ({ update }) => {
          const before = { 'download-data': aStep(), 'download-model': aStep() }
          const steps = { ...before, ...(result && { train: aStep('host-a', result) }) }
          await update({ best: { epoch: 1 }, steps }, 'best')
          await of.trainings.request(id, 'stop', 'test')
        })

        const host = await aHost({ stages: { train: async ({ signal }) => ({ stopped: signal.aborted }) } })
        await of.ended(id)

        expect(await of.record(id)).to.include({ outcome: 'completed' })
        expect(host.begun.slice(0, stagesLeft.length)).to.deep.equal(stagesLeft)
      })
    }
  })

  it('shows how far it is as soon as Redis has its claim again, which it had lost', async () => {
    const host = await aHost({ leaseMs: 1_000, stages: { train: untilEnded } })
    const id = await of.order()
    await begins(host, 'train')
    await until('it is shown', async () => (await of.record(id)).state === 'running')
    const record = `{loopfleet}:records:record:${id}`
    const before = { life: 'waiting', run: '0', host: '', incarnation: '', 'data:state': '"initialized"' }

    await redis.link.client.hset(record, before)
    await redis.link.client.zrem('{loopfleet}:records:leases', id)

    await until('the claim is restored', async () => (await of.record(id)).run === 1)
    await until('it is shown again', async () => (await of.record(id)).state === 'running', 1_000)
    expect(host.pipeline.active).to.have.lengthOf(1)
  })

  it('hands its trainings back when the worker ends, at no cost to them', async () => {
    const host = await aHost({ stages: { train: untilEnded } })
    const id = await of.order()
    await begins(host, 'train')

    await host.shutDown()

    expect(await of.record(id)).to.deep.include({ endedAt: null, errors: {}, state: 'running' })
    expect(await of.trainings.records.load(id)).to.include({ life: 'waiting', use: 'useful' }) // its data is there
    const next = await aHost({ hostId: 'host-b' })
    await of.ended(id)
    expect(await of.record(id)).to.include({ outcome: 'completed', run: 2, hostId: 'host-b', fruitlessRuns: 0 })
    expect(next.begun).to.include('train')
  })

  it('ends a cleaning up with the worker, and the training keeps its outcome', async () => {
    const host = await aHost({ stages: { cleanup: untilEnded } })
    const id = await of.order()
    await begins(host, 'cleanup')

    await host.shutDown()

    expect(await of.record(id)).to.include({ outcome: 'completed', run: 1 })
  })

  it('ends the programs of earlier runs before it begins its own, and none for the first run', async () => {
    const first = await of.order()
    const host = await aHost()
    await of.ended(first)
    expect(host.swept).to.deep.equal([])
    await host.shutDown()

    const second = await of.order({ trainingNumber: 2 })
    await of.dies(second)
    const next = await aHost()
    await of.ended(second)

    expect(next.swept).to.deep.equal([second])
  })

  it('takes over when the lease of another host has run out, which touches nothing any more', async () => {
    const gate = await startRedisGate(redis.server.url)
    const link = await openRedis(gate.url, { log: silentLogger() })
    const queues = createQueues(link, { log: silentLogger() })
    closers.push(
      () => gate.close(),
      () => link.close(),
      () => queues.close(),
    )
    const done = aPromise()
    const upload = () => done.promise.then(() => ({ by: 'the older run' }))
    const cutOff = await aHost({ leaseMs: 1_000, stages: { 'upload-model': upload } }, { ...redis, link, queues })
    const id = await of.order()
    await begins(cutOff, 'upload-model')
    gate.swallowNew(true)
    gate.cut()

    const other = await aHost({ hostId: 'host-b', leaseMs: 1_000, stages: { 'upload-model': untilEnded } })
    await begins(other, 'upload-model')
    expect(cutOff.pipeline.active, 'the host that is cut off keeps its run').to.have.lengthOf(1)
    done.resolve()
    gate.swallowNew(false)
    gate.cut()
    await until('the older run has left', () => cutOff.pipeline.active.length === 0)

    const { steps, ...record } = await of.record(id)
    expect(record).to.deep.include({ endedAt: null, outcome: null, run: 2, hostId: 'host-b', errors: {} })
    expect(steps['upload-model']).to.equal(undefined)
    expect(cutOff.begun).not.to.include('cleanup')
  })

  for (const [runs, outcome] of [
    [4, 'completed'],
    [5, 'failed'],
  ] as const) {
    it(`lets a training end as ${outcome} after ${runs} runs in a row that brought nothing`, async () => {
      const id = await of.order()
      for (let run = 1; run <= runs; run += 1) await of.dies(id)

      const host = await aHost()
      await of.ended(id)

      const record = await of.record(id)
      expect(record).to.include({ outcome, run: runs + 1 })
      expect(host.begun.length > 0).to.equal(outcome === 'completed')
      if (outcome === 'failed') expect(Object.values(record.errors).join()).to.include('five times in a row')
    })
  }

  it('gives a training back when the GPUs of its host become unreadable while it waits for one, at no cost to it', async () => {
    const slots = createSlots({ gpus: [0] })
    await slots.acquire(1, { signal: new AbortController().signal }) // another training has it
    const broken = await aHost({ slots })
    const id = await of.order()
    await until('it waits for the GPU', async () => (await of.record(id)).state === 'train_model_downloaded')

    slots.setOffer({ state: 'unreadable', reason: 'driver mismatch' })
    await until('it is given back', () => broken.pipeline.active.length === 0)
    await broken.shutDown()
    expect(await of.record(id)).to.include({ endedAt: null, fruitlessRuns: 0 })
    await aHost({ hostId: 'host-b' })
    await of.ended(id)

    expect(await of.record(id)).to.include({ outcome: 'completed', hostId: 'host-b' })
  })

  it('works on another training while one waits for the Loop, which has its place back later', async () => {
    let isLoopAway = true
    const host = await aHost({
      ...{ places: 1, lendPlaceAfterMs: 50 },
      stages: {
        'upload-model': ({ training }) =>
          isLoopAway && training.order.trainingNumber === 1 ? isAway() : Promise.resolve({}),
      },
    })
    const first = await of.order()
    await begins(host, 'upload-model')
    const second = await of.order({ trainingNumber: 2 }, seatB)
    await of.ended(second)
    expect(await of.record(first)).to.include({ endedAt: null })
    expect(host.places.lent).to.equal(1)

    isLoopAway = false
    await of.ended(first)

    expect(await of.record(first)).to.deep.include({ outcome: 'completed', errors: {} })
  })

  describe('when Redis has lost its end', () => {
    /** Everything as it is now, to come back to as a Redis does that has lost its last writes. */
    async function snapshot(): Promise<() => Promise<void>> {
      const { client } = redis.link
      const names = await client.keys('{loopfleet}:records:*')
      const dumps = await Promise.all(names.map(async (name) => [name, await client.dumpBuffer(name)] as const))
      return async () => {
        await client.del(...(await client.keys('{loopfleet}:records:*')))
        for (const [name, dump] of dumps) if (dump !== null) await client.restore(name, 0, dump)
      }
    }

    async function completed(): Promise<{ id: string; host: Host; loseTheEnd: () => Promise<void> }> {
      let lose: () => Promise<void> = async () => undefined
      const host = await aHost({
        stages: {
          cleanup: async () => {
            lose = await snapshot()
            return {}
          },
        },
      })
      const id = await of.order()
      await of.ended(id)
      await until('it has left', () => host.pipeline.active.length === 0)
      return { id, host, loseTheEnd: () => lose() }
    }

    it('its host writes the end again as soon as Redis is back, and trains nothing again', async () => {
      const { id, host, loseTheEnd } = await completed()
      const { length } = host.begun

      await loseTheEnd()
      expect(await of.record(id)).to.include({ endedAt: null, life: 'claimed' })
      redis.link.client.disconnect(true)
      await of.ended(id)

      expect(await of.record(id)).to.include({ outcome: 'completed', run: 1, hostId: 'host-a' })
      expect(host.begun).to.have.lengthOf(length)
    })

    it('its host writes the end again when its worker starts', async () => {
      const { id, host, loseTheEnd } = await completed()
      await host.shutDown()
      await loseTheEnd()

      const next = await aHost()
      await of.ended(id)

      expect(await of.record(id)).to.include({ outcome: 'completed', run: 1 })
      expect(next.begun).to.deep.equal([])
    })

    it('a later run of another host is left alone', async () => {
      const { id, host, loseTheEnd } = await completed()
      await host.shutDown()
      await loseTheEnd()
      await createLeases(redis.link, { host: 'host-a', incarnation: 'next', leaseMs: 30_000 }).takeBack()
      await of.dies(id)

      await aHost({ stages: { train: untilEnded } })
      await until('it is trained again', async () => (await of.record(id)).run === 3)

      expect(await of.record(id)).to.include({ endedAt: null })
    })
  })

  describe('when Redis has lost its record', () => {
    const keyOf = (id: string) => `{loopfleet}:records:record:${id}`

    it('ends nothing, and completes the training if the record comes back meanwhile', async () => {
      const gate = aPromise()
      const host = await aHost({ leaseMs: 600, stages: { train: () => gate.promise.then(() => ({ stopped: false })) } })
      const id = await of.order()
      await begins(host, 'train')
      await until('its state is noted', async () => (await of.record(id)).state === 'running')
      const copy = await redis.link.client.dumpBuffer(keyOf(id))

      await redis.link.client.del(keyOf(id))
      const [held] = host.pipeline.held()
      expect(await held?.compare()).to.deep.equal({ state: 'lost', found: null })
      const renewedAt = async () => Number(await redis.link.client.hget('{loopfleet}:records:clock', 'time'))
      const before = await renewedAt()
      await until('it has renewed without it', async () => (await renewedAt()) > before + 200)
      expect(host.pipeline.active[0]?.stopSwitch.endSignal.aborted).to.equal(false)
      await redis.link.client.restore(keyOf(id), 0, copy ?? Buffer.alloc(0))
      gate.resolve()
      await of.ended(id)

      expect(await of.record(id)).to.include({ outcome: 'completed', run: 1 })
    })

    it('leaves the training as it is if the record is still missing at the end', async () => {
      const gate = aPromise()
      const host = await aHost({ stages: { 'upload-model': () => gate.promise.then(() => ({})) } })
      const id = await of.order()
      await begins(host, 'upload-model')

      await redis.link.client.del(keyOf(id))
      gate.resolve()
      await until('it has left', () => host.pipeline.active.length === 0)

      expect(host.begun).not.to.include('cleanup')
      expect(await of.trainings.load(id)).to.equal(undefined)
      expect(host.places.free).to.equal(1)
    })

    it('ends the training for an abort of its seat', async () => {
      const host = await aHost({ stages: { train: untilEnded } })
      const id = await of.order()
      await begins(host, 'train')
      await redis.link.client.del(keyOf(id))

      await of.trainings.requestWithoutRecord(id, 'abort', 'test')
      await until('it has left', () => host.pipeline.active.length === 0)

      expect(host.begun).not.to.include('cleanup') // without its record nothing is deleted
    })
  })
})
