import type { BackOffOptions } from '../../../src/base/back-off.js'
import { silentLogger } from '../../../src/base/logger/logger.js'
import { createSlots, type Slots } from '../../../src/executors/gpu/slots.js'
import { createAttemptsOfFleet } from '../../../src/queue/blame/attempts-of-fleet.js'
import type { Fleet } from '../../../src/queue/fleet/fleet.js'
import { queueNames, type Stage as StageName, type WorkKind, workKinds } from '../../../src/queue/jobs/names.js'
import { createLeases } from '../../../src/queue/records/leases.js'
import type { TrainingRecord } from '../../../src/queue/trainings/training-record.js'
import { createTrainings, type Trainings } from '../../../src/queue/trainings/trainings.js'
import { takingOffers } from '../../../src/queue/waiting-reason.js'
import { createEndedRuns } from '../../../src/workers/ended-runs.js'
import { createBlame } from '../../../src/workers/engine/blame.js'
import { createEngine, type Engine } from '../../../src/workers/engine/engine.js'
import { toWork } from '../../../src/workers/engine/pipeline.js'
import { createPlaces, type Places } from '../../../src/workers/engine/places.js'
import { UnknownTrainerError } from '../../../src/workers/trainings/errors.js'
import type { RunStore } from '../../../src/workers/trainings/run-store.js'
import type { Stage, StageDeps } from '../../../src/workers/trainings/stages/stage.js'
import { createStopSwitch } from '../../../src/workers/trainings/stop-switch.js'
import { createTrainingPipeline, type TrainingPipeline } from '../../../src/workers/trainings/training-pipeline.js'
import { createTrainingRun, type TrainingRun } from '../../../src/workers/trainings/training-run.js'
import { workspacePaths } from '../../../src/workers/workspaces/workspace-paths.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'
import { until } from '../../helpers/until.js'
import { anOrder, seatA } from '../../queue/orders.js'
import { type RedisFixture, startRedisFixture } from '../../queue/redis-fixture.js'
import { aDefinition, stagesThat } from '../a-training.js'

const log = silentLogger()
const { signal } = new AbortController()

export type HostOptions = {
  readonly hostId?: string
  readonly places?: number
  readonly leaseMs?: number
  readonly slots?: Slots
  readonly definition?: Record<string, unknown>
  /** What the hosts of the fleet announce. */
  readonly fleet?: Awaited<ReturnType<Fleet['hosts']>>
  readonly stages?: Partial<Record<StageName, Stage['run']>>
  readonly isUnknown?: boolean
  readonly lendPlaceAfterMs?: number
  readonly backOff?: BackOffOptions
}

/** A host whose stages are the test's: real queues and real records, nothing on disk. */
export type Host = {
  readonly engine: Engine
  readonly pipeline: TrainingPipeline
  readonly places: Places
  /** Stages in the order in which they began. */
  readonly begun: StageName[]
  /** Trainings whose earlier programs were ended. */
  readonly swept: string[]
  /** As a worker that ends on purpose. */
  shutDown(): Promise<void>
}

export async function startHost(
  redis: Pick<RedisFixture, 'link' | 'queues'>,
  folder: string,
  options: HostOptions = {},
): Promise<Host> {
  const { hostId = 'host-a', leaseMs = 30_000, backOff = { firstMs: 20 } } = options
  const { link, queues } = redis
  const trainings = createTrainings(link, {}, { log })
  const begun: StageName[] = []
  const swept: string[] = []
  const places = createPlaces(options.places ?? 1, () => engine.wake())
  const steps = new Map(workKinds.map((kind) => [kind, queues.steps(queueNames.host(hostId, kind))]))
  const openRun = (record: TrainingRecord, run: number, store: RunStore) => {
    if (options.isUnknown) throw new UnknownTrainerError(record.trainer)
    return aRun(record, { run, store, hostId, folder, definition: options.definition })
  }
  const hosts = async () => options.fleet ?? []
  const attempts = createAttemptsOfFleet(link)
  const endedRuns = createEndedRuns({ dataFolder: folder, hostId }, { trainings, log })
  const pipeline = createTrainingPipeline(
    { hostId, pid: 1, lendPlaceAfterMs: options.lendPlaceAfterMs, backOff },
    {
      ...{ trainings, places, openRun, endedRuns, log, stageDeps: {} as StageDeps }, // the stages of these tests need none
      steps: Object.fromEntries(steps) as Record<WorkKind, ReturnType<typeof queues.steps>>,
      stages: stagesThat((name) => async (context, deps) => {
        begun.push(name)
        return (await options.stages?.[name]?.(context, deps)) ?? {}
      }),
      slots: options.slots ?? createSlots({ gpus: null }),
      names: () => ['quick'],
      sweepTraining: async (id) => void swept.push(id),
      ...(options.slots !== undefined && { gpusOf: () => 1, onSlots: () => engine.wake() }),
      onLeft: async () => undefined,
      blame: createBlame(
        { hostId },
        { attempts, fleet: { hosts }, isOnTrial: () => false, gpus: () => options.slots?.gpus.length ?? 0, log },
      ),
      isOnTrial: () => false,
    },
  )
  const engine: Engine = createEngine(
    { hostId, leaseMs },
    {
      link,
      works: [toWork(pipeline)],
      slots: () => 1,
      mayClaim: async () => true,
      others: async () => takingOffers(await hosts()).filter((other) => other.hostId !== hostId),
      restoreEnds: endedRuns.restore,
      log,
    },
  )
  for (const queue of steps.values()) await queue.start({ signal })
  await engine.start({ signal })
  const shutDown = async () => {
    await engine.stop()
    for (const queue of steps.values()) await queue.stop()
  }
  return { engine, pipeline, places, begun, swept, shutDown }
}

type RunOfTest = {
  readonly run: number
  readonly store: RunStore
  readonly hostId: string
  readonly folder: string
  readonly definition?: Record<string, unknown> | undefined
}

function aRun(record: TrainingRecord, { run, store, hostId, folder, definition }: RunOfTest): TrainingRun {
  const { id, order, seat } = record
  const unused = () => Promise.reject(new Error('not part of this test'))
  const modelSets = {
    ...{ add: unused, markSynced: unused, list: async () => [], lastSynced: async () => undefined },
    reload: () => undefined,
  }
  return createTrainingRun(
    {
      ...{
        id,
        run,
        hostId,
        owner: `${hostId}:1:${id}.${run}`,
        programEnv: {},
        order,
        seat,
        taken: record,
        modelSets,
        log,
      },
      definition: aDefinition(definition),
      paths: workspacePaths(folder, order, id),
      stopSwitch: createStopSwitch(),
      metricsSync: { push: () => undefined, flush: unused },
    },
    store,
  )
}

/** Hosts of a test that end with it, on a Redis of the suite that is empty before each test. */
export function useHosts() {
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

  return {
    folder,
    closers,
    get redis() {
      return redis
    },
    get of() {
      return of
    },
    async aHost(options: HostOptions = {}, there: Pick<RedisFixture, 'link' | 'queues'> = redis): Promise<Host> {
      const host = await startHost(there, folder.path, options)
      closers.push(host.shutDown)
      return host
    },
    begins: (host: Host, stage: string) => until(`${stage} has begun`, () => host.begun.some((name) => name === stage)),
  }
}

/** What tests do with trainings, and read of them. */
export function ordersAndRecords({ link }: Pick<RedisFixture, 'link'>) {
  const trainings: Trainings = createTrainings(link, {}, { log })

  async function order(change = {}, seat = seatA): Promise<string> {
    const answer = await trainings.accept({ order: anOrder(change), trainer: 'quick', seat })
    if (answer.outcome === 'refused') throw new Error(answer.reason)
    return answer.training.id
  }

  async function record(id: string): Promise<TrainingRecord> {
    const found = await trainings.load(id)
    if (found === undefined) throw new Error('no record')
    return found
  }

  return {
    trainings,
    order,
    record,
    ended: (id: string) => until('the training has ended', async () => (await record(id)).endedAt !== null),
    /** As a host that claims it and dies with what the test says it has done. */
    async dies(id: string, during: (run: RunOfDead) => Promise<unknown> = async () => undefined): Promise<void> {
      const found = await trainings.records.load(id)
      if (found === undefined) throw new Error('no record')
      const incarnation = `dead-${found.run}`
      const dead = { host: 'host-dead', incarnation, leaseMs: 30_000 }
      const answer = await trainings.records.claim(found, dead)
      if (answer.outcome !== 'claimed') throw new Error(`not claimed: ${answer.outcome}`)
      const { claim } = answer
      await during({ claim, update: (patch, mark) => trainings.records.update(claim, patch, mark) })
      await createLeases(link, { ...dead, incarnation: `${incarnation}-next` }).takeBack()
    },
  }
}

type Update = Parameters<Trainings['records']['update']>
type RunOfDead = { readonly claim: Update[0]; update(patch: Update[1], mark?: Update[2]): Promise<void> }

/** A stage that goes on until it is ended. */
export const untilEnded: Stage['run'] = ({ signal: ending }) =>
  new Promise<never>((_, reject) => {
    if (ending.aborted) reject(ending.reason)
    ending.addEventListener('abort', () => reject(ending.reason))
  })
