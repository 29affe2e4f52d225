import process from 'node:process'
import type { Logger } from '../../base/logger/index.js'
import type { TrainerDefinition } from '../../executors/definition/index.js'
import type { Queues, TrainingRecord } from '../../queue/index.js'
import { createCheckpoints } from '../checkpoints/checkpoints.js'
import { workspacePaths } from '../workspaces/index.js'
import { confirmedPoint } from './confirmed-point.js'
import { UnknownTrainerError } from './errors.js'
import { createMetricsSync } from './metrics-sync.js'
import { createModelSets } from './model-sets.js'
import type { RunStore } from './run-store.js'
import { createStopSwitch } from './stop-switch.js'
import { createTrainingRun, type TrainingRun } from './training-run.js'

export type OpenRunOptions = {
  readonly hostId: string
  readonly dataFolder: string
  readonly programEnv: Readonly<Record<string, string | undefined>>
  readonly trainers: readonly TrainerDefinition[]
  readonly checkpoints?: { readonly folder: string; readonly everyMs: number } | undefined
}
export type OpenRunDeps = { readonly queues: Pick<Queues, 'runJob'>; readonly store: RunStore; readonly log: Logger }

/** What a run of a training works with on this host; throws LF_UNKNOWN_TRAINER. */
export function openTrainingRun(
  record: TrainingRecord,
  run: number,
  options: OpenRunOptions,
  deps: OpenRunDeps,
): TrainingRun {
  const definition = options.trainers.find((trainer) => trainer.name === record.trainer)
  if (definition === undefined) throw new UnknownTrainerError(record.trainer)
  const { id, order, seat } = record
  const paths = workspacePaths(options.dataFolder, order, id)
  const stopSwitch = createStopSwitch()
  const modelSets = createModelSets({ workspace: paths.workspace, folder: paths.models })
  const runLog = deps.log.child({ trainingId: id, run })
  const point = async () => {
    const { trainImageCount, testImageCount } = await deps.store.record()
    return { trainImageCount, testImageCount, hyperparameters: order.hyperparameters }
  }
  const confirmed = confirmedPoint(deps.store)
  const metricsSync = createMetricsSync(
    { trainingId: id, run, seat, organization: order.organization, project: order.project, point },
    { queues: deps.queues, modelSets, confirmed, signal: stopSwitch.endSignal, log: runLog },
  )
  const checkpoints =
    options.checkpoints &&
    createCheckpoints(
      { ...options.checkpoints, trainingId: id, run, workspace: paths.workspace, rules: definition },
      {
        checkFence: deps.store.checkFence,
        endSignal: stopSwitch.endSignal,
        log: runLog,
      },
    )
  const owner = `${options.hostId}:${process.pid}:${id}.${run}`
  const { hostId, programEnv } = options
  const parts = { id, run, hostId, owner, programEnv, order, seat, definition, paths, taken: record }
  return createTrainingRun({ ...parts, stopSwitch, modelSets, metricsSync, checkpoints, log: runLog }, deps.store)
}
