import process from 'node:process'
import type { Logger } from '../../src/base/logger.js'
import type { TrainerDefinition } from '../../src/executors/definition.js'
import { createSlots } from '../../src/executors/gpu/slots.js'
import { createImageExchange } from '../../src/loop/client/image-exchange.js'
import { createModelExchange } from '../../src/loop/client/model-exchange.js'
import { createLoopRest } from '../../src/loop/client/rest.js'
import { createLoopSession } from '../../src/loop/client/session.js'
import { parseBeginTraining } from '../../src/loop/protocol/index.js'
import { createControl } from '../../src/queue/control.js'
import { stepJobSchema, trainingJobSchema } from '../../src/queue/job-schemas.js'
import { createJournal, type TrainingRecord } from '../../src/queue/journal.js'
import { queueNames, workKinds } from '../../src/queue/names.js'
import type { RedisLink } from '../../src/queue/open-redis.js'
import { createQueues } from '../../src/queue/queues.js'
import { confirmedPoint } from '../../src/workers/confirmed-point.js'
import { createDispatcher } from '../../src/workers/dispatcher.js'
import { journalStore } from '../../src/workers/journal-store.js'
import { createMetricsSync } from '../../src/workers/metrics-sync.js'
import { createModelSets } from '../../src/workers/model-sets.js'
import { createPlaces } from '../../src/workers/places.js'
import { allStages } from '../../src/workers/stages/index.js'
import type { Stages } from '../../src/workers/stages/stage.js'
import { createStepRunner } from '../../src/workers/step-runner.js'
import { createStopSwitch } from '../../src/workers/stop-switch.js'
import { createTrainingRun } from '../../src/workers/training-run.js'
import { workspacePaths } from '../../src/workers/workspace-paths.js'
import type { Chain } from './chain.js'

const HOST = 'bench'
const idle = Object.values(allStages).map((stage) => [stage.name, { ...stage, run: async () => ({}) }] as const)
const stages: Stages = { ...allStages, ...Object.fromEntries(idle) }

export type PipelineOptions = {
  readonly link: RedisLink
  readonly definition: TrainerDefinition
  readonly folder: string
}

/** A worker's dispatcher, walk and step runner with journal and fences, on stages that do nothing. */
export function openPipeline({ link, definition, folder }: PipelineOptions, { log }: { readonly log: Logger }): Chain {
  const queues = createQueues(link, { log })
  const journal = createJournal(link)
  const control = createControl(link, journal, queues)
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

  function createRun(record: TrainingRecord, run: number) {
    const { id, order, seat } = record
    const paths = workspacePaths(folder, order, id)
    const stopSwitch = createStopSwitch()
    const modelSets = createModelSets({ workspace: paths.workspace, folder: paths.models })
    const { organization, project } = order
    const point = async () => ({ trainImageCount: 0, testImageCount: 0, hyperparameters: {} })
    const store = journalStore(journal, { id, run })
    const metricsSync = createMetricsSync(
      { trainingId: id, run, seat, organization, project, point },
      { queues, modelSets, confirmed: confirmedPoint(store), signal: stopSwitch.endSignal, log },
    )
    const names = { id, run, hostId: HOST, owner: `${HOST}:${id}.${run}`, programEnv: {} }
    const parts = { ...names, order, seat, definition, paths, taken: record, stopSwitch, modelSets, metricsSync, log }
    return createTrainingRun(parts, store)
  }

  const dispatcher = createDispatcher(
    { hostId: HOST, workerPid: process.pid },
    {
      queues,
      journal,
      control,
      places: createPlaces(2, () => undefined),
      slots: createSlots({ gpus: null }),
      stages,
      createRun,
      sweepTraining: async () => undefined,
      log,
    },
  )
  const runStep = createStepRunner({ stages, stageDeps, journal, findRun: dispatcher.findRun })
  for (const kind of workKinds) {
    queues.consume(queueNames.host(HOST, kind), runStep, { schema: stepJobSchema, concurrency: 2 })
  }
  const trainings = queueNames.trainings(definition.name)
  queues.consume(trainings, dispatcher.take, { schema: trainingJobSchema, concurrency: 2 })
  let count = 0

  return {
    async run() {
      count += 1
      const config = { categories: [], training_number: count, model_variant: 'small', hyperparameters: {} }
      const order = parseBeginTraining('o', 'p', config)
      const accepted = await journal.accept({ order, trainer: definition.name, seat: { uuid: 'seat', name: 'seat' } })
      if (accepted.outcome === 'refused') throw new Error(accepted.reason)
      const { id } = accepted.training
      await queues.runJob(trainings, 'training', { trainingId: id }, { id })
    },
    async close() {
      await queues.close()
      session.close()
    },
  }
}
