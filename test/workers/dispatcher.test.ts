import { expect } from 'chai'
import { WorkerShutdownError } from '../../src/base/abort-reasons.js'
import { LoopfleetError } from '../../src/base/errors.js'
import { silentLogger } from '../../src/base/logger.js'
import { createSlots, type Slots } from '../../src/executors/gpu/slots.js'
import type { Consumer } from '../../src/queue/consumer.js'
import { type Control, createControl } from '../../src/queue/control.js'
import { stepJobSchema, trainingJobSchema } from '../../src/queue/job-schemas.js'
import { createJournal, type Journal, type TrainingRecord } from '../../src/queue/journal.js'
import { queueNames, type Stage as StageName, stages, workKinds } from '../../src/queue/names.js'
import { createDispatcher, type Dispatcher } from '../../src/workers/dispatcher.js'
import { UnknownTrainerError } from '../../src/workers/errors.js'
import { journalStore } from '../../src/workers/journal-store.js'
import { createPlaces, type Places } from '../../src/workers/places.js'
import type { Stage, StageDeps } from '../../src/workers/stages/stage.js'
import { createStepRunner } from '../../src/workers/step-runner.js'
import { createStopSwitch } from '../../src/workers/stop-switch.js'
import { createTrainingRun } from '../../src/workers/training-run.js'
import { workspacePaths } from '../../src/workers/workspace-paths.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'
import { until } from '../helpers/until.js'
import { anOrder, hostB, seatA } from '../queue/orders.js'
import { type RedisFixture, startRedisFixture } from '../queue/redis-fixture.js'
import { aDefinition, aPromise, stagesThat } from './a-training.js'

const log = silentLogger()
const TRAININGS = queueNames.trainings('quick')
const ALL: readonly StageName[] = stages

/** A host whose stages are the test's: real queues and a real journal, nothing on disk. */
type Host = {
  readonly dispatcher: Dispatcher
  readonly places: Places
  /** Stages in the order in which they began. */
  readonly begun: StageName[]
  readonly swept: string[]
  /** As a worker that goes down on purpose. */
  shutDown(): Promise<void>
}

describe('the dispatcher', () => {
  const folder = useTemporaryFolder()
  let redis: RedisFixture
  let journal: Journal
  let control: Control
  let hosts: Host[]
  before(async () => {
    redis = await startRedisFixture()
  })
  after(() => redis.close())
  beforeEach(async () => {
    await redis.link.client.flushall()
    journal = createJournal(redis.link)
    control = createControl(redis.link, journal, redis.queues)
    hosts = []
  })
  afterEach(async () => {
    for (const host of hosts) await host.shutDown()
  })

  function aHost(
    options: {
      places?: number
      hostId?: string
      isUnknown?: boolean
      slots?: Slots
      stages?: Partial<Record<StageName, Stage['run']>>
    } = {},
  ): Host {
    const { hostId = 'host-a' } = options
    const begun: StageName[] = []
    const swept: string[] = []
    const places = createPlaces(options.places ?? 1, () => undefined)
    const createRun = (record: TrainingRecord, run: number) => {
      if (options.isUnknown) throw new UnknownTrainerError(record.trainer)
      const { id, order, seat } = record
      const parts = { id, run, hostId, owner: `${hostId}:1:${id}.${run}`, programEnv: {}, order, seat, taken: record }
      const unused = () => Promise.reject(new Error('not part of this test'))
      return createTrainingRun(
        {
          ...parts,
          definition: aDefinition(),
          paths: workspacePaths(folder.path, order, id),
          stopSwitch: createStopSwitch(),
          modelSets: {
            add: unused,
            markSynced: unused,
            list: async () => [],
            lastSynced: async () => undefined,
            reload: () => undefined,
          },
          metricsSync: { push: () => undefined, flush: unused },
          log,
        },
        journalStore(journal, { id, run, hostId }),
      )
    }
    const stagesOfTest = stagesThat((name) => async (context, deps) => {
      begun.push(name)
      return (await options.stages?.[name]?.(context, deps)) ?? {}
    })
    const dispatcher = createDispatcher(
      { hostId, workerPid: 1 },
      {
        queues: redis.queues,
        journal,
        control,
        places,
        slots: options.slots ?? createSlots({ gpus: null }),
        stages: stagesOfTest,
        createRun,
        sweepTraining: async (id) => void swept.push(id),
        log,
      },
    )
    const runStep = createStepRunner({
      stages: stagesOfTest,
      stageDeps: {} as StageDeps, // the stages of these tests need none
      journal,
      findRun: dispatcher.findRun,
    })
    const stepConsumers = workKinds.map((kind) =>
      redis.queues.consume(queueNames.host(hostId, kind), runStep, { concurrency: 2, schema: stepJobSchema }),
    )
    const consumer = redis.queues.consume(TRAININGS, dispatcher.take, { concurrency: 1, schema: trainingJobSchema })
    const shutDown = async () => {
      for (const training of dispatcher.active) training.stopSwitch.end(new WorkerShutdownError())
      const close = (each: Consumer) => each.close({ cancel: new WorkerShutdownError() })
      await close(consumer)
      await Promise.all(stepConsumers.map(close))
    }
    const host = { dispatcher, places, begun, swept, shutDown }
    hosts.push(host)
    return host
  }

  async function order(): Promise<string> {
    const answer = await journal.accept({ order: anOrder(), trainer: 'quick', seat: seatA })
    if (answer.outcome === 'refused') throw new Error(answer.reason)
    const { id } = answer.training
    await redis.queues.add(TRAININGS, 'training', { trainingId: id }, { id, backOff: { firstMs: 50 } })
    return id
  }

  async function record(id: string): Promise<TrainingRecord> {
    const found = await journal.load(id)
    if (found === undefined) throw new Error('no record')
    return found
  }

  const ended = (id: string) => until('the training has ended', async () => (await record(id)).endedAt !== null)
  const job = (id: string) => redis.queues.job(TRAININGS, id)
  const jobIs = (id: string, state: string) =>
    until(`the training's job is ${state}`, async () => (await job(id))?.state === state)

  const aborted = (signal: AbortSignal) =>
    new Promise<never>((_, reject) => {
      if (signal.aborted) reject(signal.reason)
      signal.addEventListener('abort', () => reject(signal.reason))
    })
  /** A stage that waits until it is ended. */
  const untilEnded: Stage['run'] = ({ signal }) => aborted(signal)

  it('walks a training through all its stages and ends it as completed', async () => {
    const host = aHost()
    const id = await order()

    await ended(id)
    await jobIs(id, 'completed')

    expect([...host.begun].sort()).to.deep.equal([...ALL].sort())
    expect(host.begun.at(-1)).to.equal('cleanup')
    const done = await record(id)
    expect(done).to.include({ outcome: 'completed', run: 1, hostId: 'host-a', state: 'ready_for_cleanup' })
    expect(done.errors).to.deep.equal({})
    expect(Object.keys(done.steps).sort()).to.deep.equal([...ALL].sort())
    expect(await journal.unfinishedOfSeat(seatA.uuid)).to.equal(undefined)
    expect((await job(id))?.result).to.deep.equal({ outcome: 'completed', run: 1 })
  })

  it('gives its place back and forgets the run when the training is over', async () => {
    const host = aHost()
    const id = await order()

    await jobIs(id, 'completed')

    expect(host.places.free).to.equal(1)
    expect(host.dispatcher.active).to.deep.equal([])
    expect(host.dispatcher.findRun(id)).to.equal(undefined)
  })

  it('leaves a training to others while it has no place free', async () => {
    const host = aHost({ places: 0 })
    const id = await order()
    await until('it was offered and handed back', async () => ((await job(id))?.attemptsStarted ?? 0) >= 1)

    const other = aHost({ hostId: 'host-b' })
    await jobIs(id, 'completed')

    expect(host.begun).to.deep.equal([])
    expect(other.begun).to.include('train')
    expect((await job(id))?.attemptsMade).to.equal(1) // being handed back costs none
  })

  it('does nothing for a training that has ended meanwhile', async () => {
    const id = await order()
    await journal.finish(id, null, { outcome: 'aborted' })

    const host = aHost()
    await jobIs(id, 'completed')

    expect(host.begun).to.deep.equal([])
    expect((await record(id)).run).to.equal(0)
  })

  it('fails a training whose stage fails for good, shows the cause, and keeps its workspace', async () => {
    const host = aHost({
      stages: {
        'upload-model': async () => {
          throw new LoopfleetError('LF_TEST', 'The Loop wants no such model.', { failure: 'fatal' })
        },
      },
    })
    const id = await order()

    await ended(id)
    await jobIs(id, 'failed')

    expect(await record(id)).to.deep.include({
      outcome: 'failed',
      errors: { upload_model: 'The Loop wants no such model.' },
    })
    expect((await job(id))?.failure).to.deep.include({ code: 'LF_TRAINING_FAILED', failure: 'fatal' })
    expect(host.begun).not.to.include('cleanup')
    expect(await journal.unfinishedOfSeat(seatA.uuid)).to.equal(undefined)
  })

  it('goes on from the step that failed when the training is retried', async () => {
    let isBroken = true
    const host = aHost({
      stages: {
        'upload-model': async () => {
          if (isBroken) throw new LoopfleetError('LF_TEST', 'The Loop wants no such model.', { failure: 'fatal' })
          return {}
        },
      },
    })
    const id = await order()
    await jobIs(id, 'failed')

    isBroken = false
    expect(await control.retry(id)).to.include({ outcome: 'reopened' })
    await jobIs(id, 'completed')

    expect(await record(id)).to.include({ outcome: 'completed', run: 2 })
    // Nothing lies on the disk of this test, so only what the journal alone decides is passed over.
    expect(host.begun.filter((stage) => stage === 'download-model')).to.have.lengthOf(1)
    expect(host.begun.filter((stage) => stage === 'upload-model')).to.have.lengthOf(2)
  })

  it('goes no further after an abort, cleans up, and says so', async () => {
    const host = aHost({ stages: { 'upload-model': untilEnded } })
    const id = await order()
    await until('it uploads', () => host.begun.includes('upload-model'))

    await control.request(id, 'abort', 'test')
    host.dispatcher.findRun(id)?.stopSwitch.abort()
    await jobIs(id, 'completed')

    expect(await record(id)).to.deep.include({ outcome: 'aborted', errors: {} })
    expect(host.begun.slice(-2)).to.deep.equal(['upload-model', 'cleanup'])
    expect(await control.pending(id)).to.equal(null)
  })

  it('completes a training that was stopped after its training, without detections', async () => {
    const gate = aPromise()
    const host = aHost({ stages: { 'sync-metrics': () => gate.promise.then(() => ({})) } })
    const id = await order()
    await until('it syncs', () => host.begun.includes('sync-metrics'))

    host.dispatcher.findRun(id)?.stopSwitch.stop()
    gate.resolve()
    await ended(id)

    expect(await record(id)).to.include({ outcome: 'completed' })
    expect(host.begun.slice(-3)).to.deep.equal(['convert', 'upload-model', 'cleanup'])
  })

  it('obeys an abort that came while no worker lived', async () => {
    const id = await order()
    const run = await journal.beginRun(id, hostB)
    await journal.update(id, run, { best: { epoch: 3 } })
    const holder = redis.queues.consume(TRAININGS, (_job, signal) => aborted(signal), { schema: trainingJobSchema })
    await jobIs(id, 'active')
    expect(await control.request(id, 'abort', 'test')).to.equal('asked')
    await redis.queues.releaseHeldBy(TRAININGS, [id])

    const host = aHost()
    await ended(id)

    expect(await record(id)).to.include({ outcome: 'aborted' })
    expect(host.begun).to.deep.equal(['cleanup'])
    await holder.close({ cancel: new Error('the holder was dead already') })
  })

  it('hands its trainings back when the worker goes down, at no cost to them', async () => {
    const host = aHost({ stages: { train: untilEnded } })
    const id = await order()
    await until('it trains', () => host.begun.includes('train'))

    await host.shutDown()

    expect((await job(id))?.state).to.equal('waiting')
    expect(await record(id)).to.deep.include({ endedAt: null, errors: {}, state: 'running' })
    expect(await redis.queues.job('host-a.train', `${id}.1.train`)).to.equal(undefined)

    const next = aHost({ hostId: 'host-b' })
    await ended(id)

    expect(await record(id)).to.include({ outcome: 'completed', run: 2, hostId: 'host-b', fruitlessRuns: 0 })
    expect(next.begun).to.include('train')
  })

  it('removes the steps of the run before and ends its programs before it begins its own', async () => {
    const id = await order()
    await journal.beginRun(id, hostB)
    await redis.queues.add('host-b.train', 'train', { trainingId: id, run: 1, stage: 'train' }, { id: `${id}.1.train` })

    const host = aHost()
    await ended(id)

    expect(await redis.queues.job('host-b.train', `${id}.1.train`)).to.equal(undefined)
    expect(host.swept).to.deep.equal([id])
  })

  it('touches nothing any more when another host has taken the training over', async () => {
    const gate = aPromise()
    const host = aHost({ stages: { 'upload-model': () => gate.promise.then(() => ({})) } })
    const id = await order()
    await until('it uploads', () => host.begun.includes('upload-model'))

    await journal.beginRun(id, hostB)
    gate.resolve()
    await until('it lets go', () => host.dispatcher.active.length === 0)

    expect(await record(id)).to.deep.include({ endedAt: null, outcome: null, run: 2, hostId: 'host-b', errors: {} })
    expect(host.begun).not.to.include('cleanup')
  })

  it('fails a training after five runs in a row that brought nothing', async () => {
    const id = await order()
    for (let run = 1; run <= 5; run += 1) await journal.beginRun(id, hostB)

    const host = aHost()
    await ended(id)

    expect(host.begun).to.deep.equal([])
    const failed = await record(id)
    expect(failed.outcome).to.equal('failed')
    expect(Object.values(failed.errors).join()).to.include('five times in a row')
  })

  it('gives a training a fifth try after four runs that brought nothing', async () => {
    const id = await order()
    for (let run = 1; run <= 4; run += 1) await journal.beginRun(id, hostB)

    aHost()
    await ended(id)

    expect(await record(id)).to.include({ outcome: 'completed', run: 5 })
  })

  it('gives a training back when the GPUs of its host become unreadable while it waits for one, at no cost to it', async () => {
    const slots = createSlots({ gpus: [0] })
    await slots.acquire(1, { signal: new AbortController().signal }) // another training has it
    const broken = aHost({ slots })
    const id = await order()
    await until('it waits for the GPU', async () => (await record(id)).state === 'train_model_downloaded')

    slots.setOffer({ state: 'unreadable', reason: 'driver mismatch' })
    await until('it is given back', () => broken.dispatcher.active.length === 0)
    await broken.shutDown()
    expect(await record(id)).to.include({ endedAt: null, fruitlessRuns: 0 })
    aHost({ hostId: hostB.hostId })
    await ended(id)

    expect(await record(id)).to.include({ outcome: 'completed', hostId: hostB.hostId })
  })

  it('fails a training that this host cannot run, so that its seat is free again', async () => {
    aHost({ isUnknown: true })
    const id = await order()

    await ended(id)

    const failed = await record(id)
    expect(failed.outcome).to.equal('failed')
    expect(Object.values(failed.errors).join()).to.include('no trainer "quick"')
    expect(await journal.unfinishedOfSeat(seatA.uuid)).to.equal(undefined)
  })
})
