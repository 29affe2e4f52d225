import type { Logger } from '../../src/base/logger/logger.js'
import type { TrainerDefinition } from '../../src/executors/definition/definition.js'
import { createSlots } from '../../src/executors/gpu/slots.js'
import { createImageExchange } from '../../src/loop/client/images/image-exchange.js'
import { createModelExchange } from '../../src/loop/client/models/model-exchange.js'
import { createLoopRest } from '../../src/loop/client/session/rest.js'
import { createLoopSession } from '../../src/loop/client/session/session.js'
import { parseBeginTraining } from '../../src/loop/protocol/index.js'
import { createAttemptsOfFleet } from '../../src/queue/blame/attempts-of-fleet.js'
import { queueNames, type WorkKind } from '../../src/queue/jobs/names.js'
import { createQueues } from '../../src/queue/jobs/queues.js'
import type { RedisLink } from '../../src/queue/redis/open-redis.js'
import type { TrainingRecord } from '../../src/queue/trainings/training-record.js'
import { createTrainings } from '../../src/queue/trainings/trainings.js'
import { createEndedRuns } from '../../src/workers/ended-runs.js'
import { createBlame } from '../../src/workers/engine/blame.js'
import { createEngine, type Engine } from '../../src/workers/engine/engine.js'
import { toWork } from '../../src/workers/engine/pipeline.js'
import { createPlaces } from '../../src/workers/engine/places.js'
import { confirmedPoint } from '../../src/workers/trainings/confirmed-point.js'
import { createMetricsSync } from '../../src/workers/trainings/metrics-sync.js'
import { createModelSets } from '../../src/workers/trainings/model-sets.js'
import { allStages } from '../../src/workers/trainings/pipeline.js'
import type { RunStore } from '../../src/workers/trainings/run-store.js'
import type { Stages } from '../../src/workers/trainings/stages/stage.js'
import { createStopSwitch } from '../../src/workers/trainings/stop-switch.js'
import { createTrainingPipeline } from '../../src/workers/trainings/training-pipeline.js'
import { createTrainingRun } from '../../src/workers/trainings/training-run.js'
import { workspacePaths } from '../../src/workers/workspaces/workspace-paths.js'
import type { Chain } from './chain.js'

const HOST = 'bench'
const idle = Object.values(allStages).map((stage) => [stage.name, { ...stage, run: async () => ({}) }] as const)
const stages: Stages = { ...allStages, ...Object.fromEntries(idle) }

export type PipelineOptions = {
  readonly link: RedisLink
  readonly definition: TrainerDefinition
  readonly folder: string
}

/** A host's engine and pipeline of trainings with records and fences, on stages that do nothing. */
export function openPipeline({ link, definition, folder }: PipelineOptions, { log }: { readonly log: Logger }): Chain {
  const queues = createQueues(link, { log })
  const trainings = createTrainings(link, {}, { log })
  const session = createLoopSession({ host: '127.0.0.1:9' }, { log }) // nobody is asked
  const rest = createLoopRest(session)
  const stageDeps = {
    rest,
    images: createImageExchange({ folder }, { rest, session, log }),
    models: createModelExchange({ session, log }),
    dialect: 'current',
    threads: 1,
    gpuFigures: () => null,
    createPool: () => Promise.reject(new Error('No stage detects here.')),
  } as const

  function openRun(record: TrainingRecord, run: number, store: RunStore) {
    const { id, order, seat } = record
    const paths = workspacePaths(folder, order, id)
    const stopSwitch = createStopSwitch()
    const modelSets = createModelSets({ workspace: paths.workspace, folder: paths.models })
    const { organization, project } = order
    const point = async () => ({ trainImageCount: 0, testImageCount: 0, hyperparameters: {} })
    const metricsSync = createMetricsSync(
      { trainingId: id, run, seat, organization, project, point },
      { queues, modelSets, confirmed: confirmedPoint(store), signal: stopSwitch.endSignal, log },
    )
    const names = { id, run, hostId: HOST, owner: `${HOST}:${id}.${run}`, programEnv: {} }
    const parts = { ...names, order, seat, definition, paths, taken: record, stopSwitch, modelSets, metricsSync, log }
    return createTrainingRun(parts, store)
  }

  const stepsOf = (kind: WorkKind) => queues.steps(queueNames.host(HOST, kind))
  const steps = {
    download: stepsOf('download'),
    train: stepsOf('train'),
    convert: stepsOf('convert'),
    upload: stepsOf('upload'),
    detect: stepsOf('detect'),
  }
  const left = new Set<() => void>()
  const endedRuns = createEndedRuns({ dataFolder: folder, hostId: HOST }, { trainings, log })
  const pipeline = createTrainingPipeline(
    { hostId: HOST, pid: 1 },
    {
      ...{ trainings, steps, stages, stageDeps, openRun, endedRuns, log },
      places: createPlaces(2, () => engine.wake()),
      slots: createSlots({ gpus: null }),
      names: () => [definition.name],
      blame: createBlame(
        { hostId: HOST },
        {
          attempts: createAttemptsOfFleet(link),
          fleet: { hosts: async () => [] },
          isOnTrial: () => false,
          gpus: () => 0,
          log,
        },
      ),
      isOnTrial: () => false,
      sweepTraining: async () => undefined,
      async onLeft() {
        for (const tell of left) tell()
      },
    },
  )
  const engine: Engine = createEngine(
    { hostId: HOST, leaseMs: 30_000 },
    {
      ...{ link, works: [toWork(pipeline)], slots: () => 1, mayClaim: async () => true, others: async () => [], log },
      restoreEnds: endedRuns.restore,
    },
  )
  const { signal } = new AbortController()
  const started = Promise.all(Object.values(steps).map((queue) => queue.start({ signal }))).then(() =>
    engine.start({ signal }),
  )
  let count = 0

  return {
    async run() {
      await started
      count += 1
      const config = { categories: [], training_number: count, model_variant: 'small', hyperparameters: {} }
      const order = parseBeginTraining('o', 'p', config)
      const over = new Promise<void>((resolve) => left.add(resolve))
      const accepted = await trainings.accept({ order, trainer: definition.name, seat: { uuid: 'seat', name: 'seat' } })
      if (accepted.outcome === 'refused') throw new Error(accepted.reason)
      await over
      left.clear()
    },
    async close() {
      await engine.stop()
      await Promise.all(Object.values(steps).map((queue) => queue.stop()))
      await queues.close()
      session.close()
    },
  }
}
