import process from 'node:process'
import { RunSupersededError, WorkerShutdownError } from '../base/abort-reasons.js'
import { availableCpus } from '../base/available-cpus.js'
import type { Closers } from '../base/closers.js'
import { every } from '../base/every.js'
import { createService, type Service } from '../base/service.js'
import type { Consumer } from '../queue/consumer.js'
import type { JobHandle } from '../queue/job-handle.js'
import { stepJobSchema, type TrainingJob, trainingJobSchema } from '../queue/job-schemas.js'
import type { TrainingRecord } from '../queue/journal.js'
import { queueNames, workKinds } from '../queue/names.js'
import { HandBackError } from '../queue/queue-errors.js'
import { checkFolderReader } from '../queue/records/least-reader.js'
import { forgetUnneeded } from './checkpoints/forget.js'
import { type ConversionPipeline, createConversionPipeline } from './conversions/conversion-pipeline.js'
import { folderOwnerOf } from './conversions/folder-owner.js'
import { createRecentProjects } from './conversions/recent-projects.js'
import { createDispatcher } from './dispatcher.js'
import { createEngine } from './engine/engine.js'
import { toWork } from './engine/pipeline.js'
import { journalStore } from './journal-store.js'
import { openTrainingRun } from './open-training-run.js'
import { createPlaces } from './places.js'
import { createRecordWatch, type HeldWork } from './record-watch.js'
import { createServed, gpuStateOf } from './served.js'
import { allStages } from './stages/index.js'
import { createStepRunner } from './step-runner.js'
import { takeUpFromPredecessor } from './take-up.js'
import type { TrainingRun } from './training-run.js'
import { DEFAULT_KEEP, type WorkerDeps, type WorkerOptions } from './worker-options.js'
import { createWorkspaceKeeper } from './workspace-keeper.js'

const HEARTBEAT_MS = 5000

/** The worker of one host; the caller holds the lock on its data folder, which proves that no other one lives. */
export function createWorker(options: WorkerOptions, deps: WorkerDeps): Service {
  const log = deps.log.child({ component: 'worker', host: options.hostId })
  const timing = { lockMs: options.lockMs ?? 30_000, stalledMs: options.stalledMs ?? 2_000 }
  /** By trainer; only those that this host has ever been able to serve have one. */
  const trainerConsumers = new Map<string, Consumer>()
  const stepConsumers: { readonly kind: (typeof workKinds)[number]; readonly consumer: Consumer }[] = []
  let isSubscribing = false
  let isDraining = false

  const places = createPlaces(wantedPlaces(), openOrShut)
  const dispatcher = createDispatcher(
    { hostId: options.hostId, workerPid: process.pid, lendPlaceAfterMs: options.lendPlaceAfterMs },
    {
      ...deps,
      places,
      stages: allStages,
      log,
      createRun: (record, run) => openRun(record, run),
      sweepTraining: async (id) => void (await deps.sweepOwned((owner) => isOwnerOf(owner, options.hostId, id))),
    },
  )
  const conversionsKeeper = createWorkspaceKeeper(
    { keepOld: false, ...DEFAULT_KEEP, ...options.keep, dataFolder: options.dataFolder, of: 'conversions' },
    {
      journal: { load: async (id) => folderOwnerOf(await deps.conversions?.load(id)) },
      isActive: (id) => engine.active('conversion').includes(id),
      ...{ now: Date.now, log },
    },
  )
  const keeper = createWorkspaceKeeper(
    { keepOld: false, ...DEFAULT_KEEP, ...options.keep, dataFolder: options.dataFolder },
    { journal: deps.journal, isActive: (id) => dispatcher.findRun(id) !== undefined, now: Date.now, log },
  )
  const runStep = createStepRunner({
    stages: allStages,
    stageDeps: deps.stageDeps,
    journal: deps.journal,
    findRun: dispatcher.findRun,
  })

  const converters = options.converters ?? []
  const served = createServed({ trainers: options.trainers, converters }, log)
  const conversionSteps = deps.queues.steps(queueNames.conversions(options.hostId))
  const conversions = openConversions()
  const engine = createEngine(
    { hostId: options.hostId, leaseMs: timing.lockMs },
    {
      ...{ link: deps.link, works: conversions === undefined ? [] : [toWork(conversions)], mayClaim: mayTake, log },
      slots: () => Math.max(1, deps.slots.gpus.length),
    },
  )
  const records = createRecordWatch({
    held: () => [...dispatcher.active.map(heldTraining), ...(conversions?.held() ?? [])],
    log,
  })

  function heldTraining({ id, run, paths, stopSwitch }: TrainingRun): HeldWork {
    return {
      what: `training ${id}`,
      run,
      folder: paths.workspace,
      compare: () => deps.journal.compareRun(id, run, options.hostId),
      end: () => stopSwitch.end(new RunSupersededError({ trainingId: id, run })),
    }
  }

  /** Another host had the job of a training that is at work here: whether it has begun it. */
  async function isTakenOver({ trainingId }: TrainingJob): Promise<boolean> {
    const run = dispatcher.findRun(trainingId)?.run
    return run !== undefined && (await deps.journal.compareRun(trainingId, run)).state === 'newer'
  }

  function openConversions(): ConversionPipeline | undefined {
    if (converters.length === 0 || deps.conversions === undefined) return undefined
    const { hostId, dataFolder, programEnv } = options
    return createConversionPipeline(
      { hostId, dataFolder, converters, pid: process.pid, places: places.total },
      {
        ...{ conversions: deps.conversions, slots: deps.slots, programEnv, log },
        rest: { models: deps.stageDeps.rest.models, ...createRecentProjects(deps.stageDeps.rest) },
        models: deps.stageDeps.models,
        loopAddress: deps.loopAddress ?? '',
        outputThread: deps.stageDeps.outputThread,
        steps: conversionSteps,
        onChange: () => engine.wake(),
        tidyFolders: () => conversionsKeeper.tidy(),
        sweepConversion: async (id) => void (await deps.sweepOwned((owner) => isOwnerOf(owner, hostId, id))),
      },
    )
  }

  function openRun(record: TrainingRecord, run: number): TrainingRun {
    const store = journalStore(deps.journal, { id: record.id, run, hostId: options.hostId })
    const opened = openTrainingRun(record, run, options, { ...deps, store, log })
    keeper.tidy(record.order)
    return opened
  }

  function openOrShut(): void {
    const isShut = isDraining || places.free === 0
    for (const [trainer, consumer] of trainerConsumers) {
      consumer.setConcurrency(places.total + places.lent)
      void (isShut || !served.has('trainer', trainer) ? consumer.pause() : consumer.resume())
    }
  }

  function wantedPlaces(): number {
    const { offer } = deps.gpus
    return options.places ?? Math.max(1, offer.state === 'gpus' ? offer.cards.length : 0) + 1
  }

  /** Subscribes to what the GPUs suffice for, and to nothing else, so that the rest is left to other hosts. */
  function serveByOffer(): void {
    served.follow(deps.gpus.offer)
    if (!isSubscribing) return
    for (const { name } of options.trainers) {
      if (!served.has('trainer', name) || trainerConsumers.has(name)) continue
      const settings = { ...timing, concurrency: places.total, schema: trainingJobSchema, isTakenOver }
      trainerConsumers.set(name, deps.queues.consume(queueNames.trainings(name), take, settings))
    }
    places.setTotal(wantedPlaces())
    for (const { kind, consumer } of stepConsumers) consumer.setConcurrency(concurrencyOf(kind))
    conversions?.setPlaces(places.total)
    takeConversions()
    openOrShut()
  }

  function takeConversions(): void {
    conversions?.setTaking(({ name }) => !isDraining && served.has('converter', name))
  }

  function onOffer(): void {
    serveByOffer()
    if (isSubscribing) void announceSafely()
  }

  async function readDraining(): Promise<void> {
    const wanted = await deps.fleet.isDraining(options.hostId)
    if (wanted === isDraining) return
    isDraining = wanted
    log.info({ isDraining }, isDraining ? 'draining started' : 'draining ended')
    openOrShut()
    takeConversions()
  }

  const forgetCheckpoints = () => forgetUnneeded(options, { journal: deps.journal, log })

  /** Asked at each take: since the last heartbeat somebody may have been told that this host takes no more. */
  async function mayTake(): Promise<boolean> {
    await readDraining()
    return !isDraining
  }

  async function take(job: JobHandle<TrainingJob>, signal: AbortSignal): Promise<unknown> {
    if (!(await mayTake())) throw new HandBackError()
    const result = await dispatcher.take(job, signal)
    for (const { order } of dispatcher.active) keeper.tidy(order) // this one wound down when the next of its project began
    await forgetCheckpoints()
    return result
  }

  async function open(signal: AbortSignal, closers: Closers): Promise<void> {
    closers.add('log', () => log.info('worker stopped'))
    closers.add('workspaces', () => Promise.all([keeper.close(), conversionsKeeper.close()]))
    serveByOffer()
    closers.add('GPU offer', deps.gpus.onChange(onOffer))
    await checkFolderReader(options.dataFolder)
    await deps.fleet.checkParts(options.hostId)
    await announce() // first of all: a name that is taken must not touch what belongs to its owner
    closers.add('announcement', () => deps.fleet.withdrawHost(options.hostId))
    every(HEARTBEAT_MS, announceSafely, closers, 'heartbeat')
    await readDraining()
    await deps.sweepOwned((owner) => owner.startsWith(`${options.hostId}:`))
    await forgetCheckpoints()
    await takeUpFromPredecessor(options, { queues: deps.queues, journal: deps.journal, log })
    const watch = await deps.control.watch((id, kind) => {
      const stopSwitch = dispatcher.findRun(id)?.stopSwitch
      if (kind === 'abort') stopSwitch?.abort()
      else stopSwitch?.stop()
    })
    closers.add('control', () => watch.close())
    signal.throwIfAborted()
    await startConversions(signal, closers)
    signal.throwIfAborted()
    closers.add('work', endWork)
    for (const kind of options.trainers.length === 0 ? [] : workKinds) {
      const queue = queueNames.host(options.hostId, kind)
      const settings = { ...timing, concurrency: concurrencyOf(kind), schema: stepJobSchema, isTakenOver }
      stepConsumers.push({ kind, consumer: deps.queues.consume(queue, runStep, settings) })
    }
    isSubscribing = true
    serveByOffer()
    keeper.tidy()
    log.info({ ...namesOfAll(), places: places.total }, 'worker started')
  }

  /** First the trainings: their programs end politely and the jobs go back; then the step queues, which did the work. */
  async function endWork(): Promise<void> {
    isSubscribing = false
    const conversionsEnd = engine.stop()
    for (const training of dispatcher.active) training.stopSwitch.end(new WorkerShutdownError())
    const close = (consumer: Consumer) => consumer.close({ cancel: new WorkerShutdownError() })
    await Promise.all([...trainerConsumers.values()].map(close))
    await Promise.all(stepConsumers.map(({ consumer }) => close(consumer)))
    await conversionsEnd
  }

  async function startConversions(signal: AbortSignal, closers: Closers): Promise<void> {
    if (conversions === undefined) return
    await deps.conversions?.migrate(deps.queues)
    conversionsKeeper.tidy()
    closers.add('converters', () => Promise.all(converters.map((converter) => converter.close?.())))
    closers.add('steps of conversions', () => conversionSteps.stop())
    await conversionSteps.start({ signal })
    closers.add('engine', () => engine.stop())
    await engine.start({ signal })
  }

  function concurrencyOf(kind: (typeof workKinds)[number]): number {
    switch (kind) {
      case 'train':
      case 'convert':
      case 'detect':
      case 'download':
      case 'upload':
        return places.total * 2 // the two downloads of a training, or trainings that have their place back
      default:
        return kind satisfies never
    }
  }

  function namesOfAll() {
    return {
      trainers: options.trainers.map((trainer) => trainer.name),
      converters: converters.map((converter) => converter.name),
    }
  }

  function servedNames() {
    const { trainers, converters } = namesOfAll()
    return {
      trainers: trainers.filter((name) => served.has('trainer', name)),
      converters: converters.filter((name) => served.has('converter', name)),
    }
  }

  async function announce(): Promise<void> {
    const host = {
      hostId: options.hostId,
      pid: process.pid,
      ...servedNames(),
      notServed: [...served.missing],
      places: places.total,
      free: places.free,
      trainings: dispatcher.active.map((training) => training.id),
      gpus: deps.stageDeps.gpuFigures(),
      gpuState: gpuStateOf(deps.gpus.offer),
      errors: [...records.errors, ...keeper.errors],
    }
    await deps.fleet.announceHost(host, { ttlMs: 3 * HEARTBEAT_MS, owner: options.owner })
  }

  async function announceSafely(): Promise<void> {
    await records.check().catch((error: unknown) => log.warn({ err: error }, 'records not compared'))
    await announce().catch((error: unknown) => log.warn({ err: error }, 'heartbeat not written'))
    await readDraining().catch(() => undefined) // Redis is away, which the heartbeat has said
  }

  return createService('worker', open, { log })
}

/** Threads for detection by default: all cores but one, two at least. */
export function defaultThreads(): number {
  return Math.max(2, availableCpus() - 1)
}

function isOwnerOf(owner: string, hostId: string, trainingId: string): boolean {
  return owner.startsWith(`${hostId}:`) && owner.split(':').at(-1)?.startsWith(`${trainingId}.`) === true
}
