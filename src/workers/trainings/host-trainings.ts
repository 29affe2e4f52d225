import process from 'node:process'
import type { Closers } from '../../base/index.js'
import { queueNames, type StepQueue, type WorkKind } from '../../queue/index.js'
import type { HostTrainings } from '../engine/host-work.js'
import { toWork } from '../engine/pipeline.js'
import type { Served } from '../engine/served.js'
import type { WorkerDeps, WorkerOptions } from '../worker-options.js'
import { allStages } from './pipeline.js'
import { createTrainingPipeline, type TrainingPipelineDeps } from './training-pipeline.js'

export type HostTrainingsDeps = Omit<TrainingPipelineDeps, 'steps' | 'stages' | 'names' | 'gpusOf' | 'onSlots'> &
  Pick<WorkerDeps, 'queues' | 'trainings'> & {
    readonly served: Pick<Served, 'has'>
    /** The host may claim more, or of other trainers, than before. */
    readonly onChange: () => void
  }

/** The trainings that the engine of this host claims. */
export function createHostTrainings(options: WorkerOptions, deps: HostTrainingsDeps): HostTrainings {
  const { hostId, trainers, lendPlaceAfterMs } = options
  const stepsOf = (kind: WorkKind) => deps.queues.steps(queueNames.host(hostId, kind))
  const steps: Readonly<Record<WorkKind, StepQueue>> = {
    download: stepsOf('download'),
    train: stepsOf('train'),
    convert: stepsOf('convert'),
    upload: stepsOf('upload'),
    detect: stepsOf('detect'),
  }
  const pipeline = createTrainingPipeline(
    { hostId, pid: process.pid, lendPlaceAfterMs },
    {
      ...{ ...deps, steps, stages: allStages },
      gpusOf: (name) => trainers.find((trainer) => trainer.name === name)?.gpus ?? 0,
      onSlots: deps.onChange,
      names: () => trainers.map(({ name }) => name).filter((name) => deps.served.has('trainer', name)),
    },
  )

  async function prepare(signal: AbortSignal, closers: Closers): Promise<void> {
    if (trainers.length === 0) return
    await deps.trainings.migrate(deps.queues)
    const queues = Object.values(steps)
    closers.add('steps of trainings', () => Promise.all(queues.map((queue) => queue.stop())))
    await Promise.all(queues.map((queue) => queue.start({ signal })))
  }

  return {
    works: trainers.length === 0 ? [] : [toWork(pipeline)],
    get active() {
      return pipeline.active
    },
    held: pipeline.held,
    get full() {
      return trainers.map(({ name }) => name).filter((name) => pipeline.room(name) === 'none')
    },
    prepare,
    follow: deps.onChange,
  }
}
