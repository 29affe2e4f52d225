import process from 'node:process'
import { availableCpus, type Closers, createService, every, type Service } from '../base/index.js'
import { trainerPreflight } from '../executors/program/index.js'
import { checkFolderReader, createAttemptsOfFleet, type FleetHost, takingOffers } from '../queue/index.js'
import { levelOf } from '../queue/redis-basics/index.js'
import { forgetUnneeded } from './checkpoints/forget.js'
import { createHostConversions } from './conversions/host-conversions.js'
import { createEndedRuns } from './ended-runs.js'
import { createBlame } from './engine/blame.js'
import { createDrain, type Drain } from './engine/drain.js'
import { createEngine, type Engine } from './engine/engine.js'
import type { HostTrainings, HostWork } from './engine/host-work.js'
import { createPlaces, type Places } from './engine/places.js'
import { createRecordWatch } from './engine/record-watch.js'
import { createServed, gpuStateOf, type Served } from './engine/served.js'
import { createSuspended, type Suspended } from './engine/suspended.js'
import { createPreflights, DEFAULT_PREFLIGHT, type Preflights } from './preflights.js'
import { createHostTrainings } from './trainings/host-trainings.js'
import { openTrainingRun } from './trainings/open-training-run.js'
import type { WorkerDeps, WorkerOptions } from './worker-options.js'
import { createWorkspaceKeeper, DEFAULT_KEEP, type WorkspaceKeeper } from './workspaces/index.js'

const HEARTBEAT_MS = 5000

/** The worker of one host; the caller holds the lock on its data folder, which proves that no other one lives. */
export function createWorker(options: WorkerOptions, deps: WorkerDeps): Service {
  const log = deps.log.child({ component: 'worker', host: options.hostId })
  const host = openHost(options, { ...deps, log, onFitness: () => onFitness() })
  const { engine, keeper, drain, work } = host
  let isServing = false

  /** Takes what the GPUs suffice for, and nothing else, so that the rest is left to other hosts. */
  function serve(): void {
    host.served.follow(deps.gpus.offer)
    if (!isServing) return
    host.places.setTotal(wantedPlaces(options, deps))
    host.follow()
  }

  function onFitness(): void {
    serve()
    if (isServing) void beat()
  }

  /** A preflight that waited for GPUs is made as soon as they are there. */
  function onOffer(): void {
    for (const { kind, name, state } of host.preflights.reports)
      if (state === 'pending') host.preflights.again(kind, name)
    onFitness()
  }

  async function announce(): Promise<void> {
    await deps.fleet.announceHost(host.describe(), { ttlMs: 3 * HEARTBEAT_MS, owner: options.owner })
  }

  async function beat(): Promise<void> {
    await host.records.check().catch((error: unknown) => log[levelOf(error)]({ err: error }, 'records not compared'))
    await host.suspended.read().catch((error: unknown) => log[levelOf(error)]({ err: error }, 'failures not compared'))
    await announce().catch((error: unknown) => log[levelOf(error)]({ err: error }, 'heartbeat not written'))
    await drain.read().catch(() => undefined) // Redis is unreachable, which the heartbeat has said
  }

  async function open(signal: AbortSignal, closers: Closers): Promise<void> {
    closers.add('log', () => log.info('worker stopped'))
    closers.add('workspaces', () => keeper.close())
    serve()
    closers.add('GPU offer', deps.gpus.onChange(onOffer))
    await checkFolderReader(options.dataFolder)
    await deps.fleet.checkParts(options.hostId)
    await announce() // first of all: a name that is taken must not touch what belongs to its owner
    closers.add('announcement', () => deps.fleet.withdrawHost(options.hostId))
    await deps.fleet.resume(options.hostId) // a repair is often followed by a restart
    every(HEARTBEAT_MS, beat, closers, 'heartbeat')
    await drain.read()
    await deps.sweepOwned((owner) => owner.startsWith(`${options.hostId}:`))
    host.preflights.start(closers) // after the sweep, which ends those of the process before
    await host.forgetCheckpoints()
    for (const each of work) {
      signal.throwIfAborted()
      await each.prepare(signal, closers)
    }
    signal.throwIfAborted()
    closers.add('work', () => engine.stop())
    if (work.some(({ works }) => works.length > 0)) await engine.start({ signal })
    isServing = true
    onFitness()
    keeper.tidy()
    log.info({ ...namesOf(options), places: host.places.total }, 'worker started')
  }

  return createService('worker', open, { log })
}

/** What a host works with, from its claims to what the fleet sees of it. */
type Host = {
  readonly engine: Engine
  readonly trainings: HostTrainings
  readonly work: readonly HostWork[]
  readonly places: Places
  readonly served: Served
  readonly preflights: Preflights
  readonly drain: Drain
  readonly keeper: WorkspaceKeeper
  readonly records: ReturnType<typeof createRecordWatch>
  readonly suspended: Suspended
  /** What it serves, its places, or a drain has changed. */
  follow(): void
  forgetCheckpoints(): Promise<void>
  describe(): FleetHost
}

function openHost(options: WorkerOptions, deps: WorkerDeps & { readonly onFitness: () => void }): Host {
  const { hostId, converters = [] } = options
  const { log } = deps
  const follow = () => {
    for (const each of work) each.follow()
  }
  const places = createPlaces(wantedPlaces(options, deps), () => trainings.follow())
  const preflights = createHostPreflights(options, deps)
  const attempts = createAttemptsOfFleet(deps.link)
  const suspended = createSuspended(
    { hostId, trainers: options.trainers, converters },
    { attempts, fleet: deps.fleet, gpus: deps.gpus, onChange: deps.onFitness, preflight: preflights.again, log },
  )
  const served = createServed(
    { trainers: options.trainers, converters },
    { preflightOf: preflights.reportOf, suspendedFor: suspended.reasonOf, log },
  )
  const drain = createDrain({ hostId }, { fleet: deps.fleet, onChange: follow, log })
  const onProgramFailed = preflights.again
  const gpus = () => deps.slots.gpus.length
  const blame = createBlame({ hostId }, { attempts, fleet: deps.fleet, isOnTrial: suspended.hasTrial, gpus, log })
  const shared = {
    blame,
    places,
    served,
    isDraining: () => drain.isDraining,
    isOnTrial: suspended.isOnTrial,
    onChange: () => engine.wake(),
    onProgramFailed,
    log,
  }
  const keeper = createWorkspaceKeeper(
    { keepOld: false, ...DEFAULT_KEEP, ...options.keep, dataFolder: options.dataFolder },
    {
      ...{ records: deps.trainings, now: Date.now, log },
      isActive: (id) => trainings.active.some((each) => each.id === id),
      isReported: (path) => watch.folders.includes(path),
    },
  )
  const forgetCheckpoints = () => forgetUnneeded(options, { trainings: deps.trainings, log })
  const sweep = async (id: string) => void (await deps.sweepOwned((owner) => isOwnerOf(owner, hostId, id)))
  const endedRuns = createEndedRuns(options, { trainings: deps.trainings, log })
  const trainings: HostTrainings = createHostTrainings(options, {
    ...{ ...deps, ...shared, sweepTraining: sweep, endedRuns },
    openRun(record, run, store) {
      const opened = openTrainingRun(record, run, options, { queues: deps.queues, store, log })
      keeper.tidy(record.order)
      return opened
    },
    async onLeft() {
      for (const { order } of trainings.active) keeper.tidy(order) // this one wound down when the next of its project began
      await forgetCheckpoints()
    },
  })
  const work: HostWork[] = [trainings]
  if (converters.length > 0 && deps.conversions !== undefined) {
    const isActive = (id: string) => engine.active('conversion').includes(id)
    const more = { ...shared, conversions: deps.conversions, isActive, sweepConversion: sweep }
    work.push(createHostConversions({ ...options, converters }, { ...deps, ...more }))
  }
  const engine: Engine = createEngine(
    { hostId, leaseMs: options.lockMs ?? 30_000 },
    {
      ...{ link: deps.link, works: work.flatMap(({ works }) => works), mayClaim: drain.mayTake, log },
      restoreEnds: endedRuns.restore,
      others: async () => takingOffers(await deps.fleet.hosts()).filter((other) => other.hostId !== hostId),
      slots: () => Math.max(1, deps.slots.gpus.length),
    },
  )
  const watch = createRecordWatch({ held: () => work.flatMap((each) => each.held()), log })

  function describe(): FleetHost {
    const { trainers, converters: known } = namesOf(options)
    return {
      hostId,
      pid: process.pid,
      trainers: trainers.filter((name) => served.has('trainer', name)),
      converters: known.filter((name) => served.has('converter', name)),
      notServed: [...served.missing],
      preflights: [...preflights.reports],
      places: places.total,
      free: places.free,
      full: [...trainings.full],
      trainings: trainings.active.map(({ id }) => id),
      gpus: deps.stageDeps.gpuFigures(),
      gpuState: gpuStateOf(deps.gpus.offer),
      suspended: [...suspended.parts],
      errors: [...watch.errors, ...keeper.errors],
    }
  }

  return {
    engine,
    trainings,
    work,
    places,
    served,
    preflights,
    drain,
    keeper,
    records: watch,
    suspended,
    follow,
    forgetCheckpoints,
    describe,
  }
}

function createHostPreflights(
  options: WorkerOptions,
  deps: Pick<WorkerDeps, 'slots' | 'stageDeps' | 'log'> & { readonly onFitness: () => void },
): Preflights {
  const { hostId, dataFolder, programEnv, trainers, converters = [] } = options
  const plans = [...trainers.map(trainerPreflight), ...converters.map(({ preflight }) => preflight)]
  const limits = { ...DEFAULT_PREFLIGHT, ...options.preflight }
  const { outputThread } = deps.stageDeps
  return createPreflights(
    plans,
    { ...limits, hostId, pid: process.pid, dataFolder, programEnv },
    { slots: deps.slots, outputThread, onChange: deps.onFitness, log: deps.log },
  )
}

function wantedPlaces({ places }: WorkerOptions, { gpus: { offer } }: Pick<WorkerDeps, 'gpus'>): number {
  return places ?? Math.max(1, offer.state === 'gpus' ? offer.cards.length : 0) + 1
}

function namesOf({ trainers, converters = [] }: Pick<WorkerOptions, 'trainers' | 'converters'>) {
  return { trainers: trainers.map(({ name }) => name), converters: converters.map(({ name }) => name) }
}

/** Threads for detection by default: all cores but one, two at least. */
export function defaultThreads(): number {
  return Math.max(2, availableCpus() - 1)
}

function isOwnerOf(owner: string, hostId: string, id: string): boolean {
  return owner.startsWith(`${hostId}:`) && owner.split(':').at(-1)?.startsWith(`${id}.`) === true
}
