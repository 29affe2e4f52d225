import { WorkerShutdownError } from '../base/abort-reasons.js'
import { LoopfleetError } from '../base/errors.js'
import type { JobHandle } from '../queue/job-handle.js'
import type { StepJob } from '../queue/job-schemas.js'
import type { Journal } from '../queue/journal.js'
import type { StageDeps, Stages } from './stages/stage.js'
import type { TrainingRun } from './training-run.js'
import { createStageRunner, type StepAttempt } from './trainings/run-stage.js'

export type StepRunnerDeps = {
  readonly stages: Stages
  readonly stageDeps: StageDeps
  readonly journal: Pick<Journal, 'finishStep'>
  /** The living run of a training on this host, or undefined for a job of an earlier life. */
  readonly findRun: (trainingId: string) => TrainingRun | undefined
}

/** A step's job of a run that is not ours any more; it is dropped without a trace outside. */
class StaleStepError extends LoopfleetError {
  static {
    this.prototype.name = 'StaleStepError'
  }
  constructor(jobId: string) {
    super('LF_STALE_STEP', `Step ${jobId} belongs to a run that has ended.`, { details: { jobId } })
  }
}

/** The worker goes down: the training is handed back as a whole, so its step must not wait for another take. */
class StepHandedBackError extends LoopfleetError {
  static {
    this.prototype.name = 'StepHandedBackError'
  }
  constructor(jobId: string) {
    super('LF_STEP_HANDED_BACK', `Step ${jobId} was ended because its worker shut down.`, { details: { jobId } })
  }
}

/** Works on the jobs of steps that BullMQ gives to this host. */
export function createStepRunner(deps: StepRunnerDeps) {
  const busy = new Map<string, Promise<unknown>>()
  const runStage = createStageRunner(deps)

  return async function runStep(job: JobHandle<StepJob>, jobSignal: AbortSignal): Promise<unknown> {
    const { trainingId, run } = job.data
    const training = deps.findRun(trainingId)
    if (training === undefined || training.run !== run) throw new StaleStepError(job.id)
    // A job whose lock was lost is taken again while its first take still winds down: one at a time.
    const earlier = busy.get(job.id)?.catch(() => undefined)
    const work = Promise.resolve(earlier).then(() => runOnce(training, job, jobSignal))
    busy.set(job.id, work)
    try {
      return await work
    } finally {
      if (busy.get(job.id) === work) busy.delete(job.id)
    }
  }

  async function runOnce(training: TrainingRun, job: JobHandle<StepJob>, jobSignal: AbortSignal): Promise<unknown> {
    const stage = deps.stages[job.data.stage]
    const signal = AbortSignal.any([jobSignal, training.stopSwitch.signalFor(stage)])
    try {
      return await runStage(training, stage, toAttempt(training, job), signal)
    } catch (error) {
      throw error instanceof WorkerShutdownError ? new StepHandedBackError(job.id) : error
    }
  }

  function toAttempt({ id, run, hostId }: TrainingRun, job: JobHandle<StepJob>): StepAttempt {
    return {
      attempt: job.attemptsStarted,
      updateProgress: job.updateProgress,
      log: job.log,
      async finish(step, { patch, progress, lines }) {
        const also = { patch, job: { key: job.key, progress, lines } }
        await deps.journal.finishStep(id, run, job.data.stage, { hostId, ...step }, also)
      },
    }
  }
}
