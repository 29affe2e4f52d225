import { WorkerShutdownError } from '../base/abort-reasons.js'
import { failureClassOf, LoopfleetError, messageOf } from '../base/errors.js'
import type { Logger } from '../base/logger.js'
import { plainText } from '../base/terminal/plain-text.js'
import type { JobHandle } from '../queue/job-handle.js'
import type { StepJob, StepProgress } from '../queue/job-schemas.js'
import type { JobEnding, Journal } from '../queue/journal.js'
import type { Stage as StageName } from '../queue/names.js'
import { warningsOf, withWarning } from '../queue/training-warnings.js'
import { toFailureFacts } from './failure-facts.js'
import type { LogWriter } from './log-writer.js'
import { createJobLog, toAudience } from './run-output.js'
import { createShownErrors } from './shown-errors.js'
import { showing, shownStates } from './shown-states.js'
import type { Stage, StageContext, StageDeps } from './stages/stage.js'
import { createThrottle } from './throttle.js'
import type { TrainingRun } from './training-run.js'
import { isWarning } from './warnings.js'

/** Key under which the Loop sees the error of a stage (loop-protocol: trainer state machine). */
export const errorKeys: Record<StageName, string> = {
  'download-data': 'prepare',
  'download-model': 'download_model',
  train: 'run_training',
  'sync-metrics': 'sync_confusion_matrix',
  convert: 'upload_model',
  'upload-model': 'upload_model',
  detect: 'detecting',
  'upload-detections': 'upload_detections',
  cleanup: 'cleanup',
}

export type StepRunnerDeps = {
  readonly stages: Record<StageName, Stage>
  readonly stageDeps: StageDeps
  readonly journal: Journal
  /** The living run of a training on this host, or undefined for a job of an earlier life. */
  readonly findRun: (trainingId: string) => TrainingRun | undefined
  readonly log: Logger
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

/** What surrounds every stage: fence, signal, time, log, journal, and the error the Loop sees meanwhile. */
export function createStepRunner(deps: StepRunnerDeps) {
  const busy = new Map<string, Promise<unknown>>()
  const shownErrors = createShownErrors()

  return async function runStep(job: JobHandle<StepJob>, jobSignal: AbortSignal): Promise<unknown> {
    const { trainingId, run, stage } = job.data
    const training = deps.findRun(trainingId)
    if (training === undefined || training.run !== run) throw new StaleStepError(job.id)
    // A job whose lock was lost is taken again while its first take still winds down: one at a time.
    const earlier = busy.get(job.id)?.catch(() => undefined)
    const work = Promise.resolve(earlier).then(() => runOnce(training, stage, job, jobSignal))
    busy.set(job.id, work)
    try {
      return await work
    } finally {
      if (busy.get(job.id) === work) busy.delete(job.id)
    }
  }

  async function runOnce(training: TrainingRun, stage: StageName, job: JobHandle<StepJob>, jobSignal: AbortSignal) {
    const signal = AbortSignal.any([jobSignal, training.stopSwitch.signalFor(stage)])
    const log = training.log.child({ component: 'stage', stage })
    const throttle = createThrottle(500, (progress: StepProgress) => publish(training, stage, job, progress, log))
    const jobLog = createJobLog(job, { whole: `the log of training ${training.id}` })
    const context = createContext(training, job, { signal, log, offer: throttle.offer, jobLog })
    const startedAt = performance.now()
    try {
      if (stage !== 'train') signal.throwIfAborted() // train decides itself what a stop keeps
      await training.checkFence()
      log.info({ attempt: job.attemptsStarted }, 'stage started')
      if (stage === 'sync-metrics') training.patience?.waits(stage) // for the node, which waits for the Loop
      jobLog.write(`${stage} started on ${training.hostId}, run ${training.run}, attempt ${job.attemptsStarted}`)
      const result = await deps.stages[stage](context, deps.stageDeps)
      const seconds = (performance.now() - startedAt) / 1000
      if (stage !== 'train') context.progress({ progress: 1 }) // a training program tells itself how far it came
      const progress = await throttle.take()
      const lines = jobLog.take(`${stage} done in ${seconds.toFixed(2)} s`)
      await finishStep(training, stage, { seconds, result }, { key: job.key, progress, lines })
      log.info({ seconds }, 'stage done')
      return result
    } catch (error) {
      await throttle.flush().catch(() => undefined) // progress is worth nothing beside the error itself
      void jobLog.close(...(signal.aborted ? [] : [`${stage} failed: ${messageOf(error)}`]))
      await noteError(training, stage, job, error, signal)
      throw signal.aborted ? toEnd(signal.reason, job.id) : error
    }
  }

  // One write: nobody sees a done step with the state or the error of before, or with a job that has not come so far.
  async function finishStep(
    training: TrainingRun,
    stage: StageName,
    done: { seconds: number; result: unknown },
    ending: JobEnding,
  ) {
    const { id, run, hostId } = training
    training.patience?.getsOn(stage)
    // The training is over: its last status must not look like a failure.
    const isOver = stage === 'cleanup'
    const cleared = shownErrors.clear(training, (key) => key === errorKeys[stage] || (isOver && isWarning(key)))
    const patch = { ...showing(shownStates[stage].after), ...(cleared && { errors: cleared.others }) }
    try {
      await deps.journal.finishStep(id, run, stage, { hostId, ...done }, { patch, job: ending })
    } catch (error) {
      cleared?.putBack()
      throw error
    }
  }

  function createContext(
    training: TrainingRun,
    job: JobHandle<StepJob>,
    parts: {
      readonly signal: AbortSignal
      readonly log: Logger
      readonly offer: (progress: StepProgress) => void
      readonly jobLog: LogWriter
    },
  ): StageContext {
    const { signal, log, offer, jobLog } = parts
    let current: StepProgress = { progress: null, gpus: null, process: null }
    const say = (line: string) => {
      const plain = plainText(line)
      jobLog.write(plain)
      training.output.write(plain)
    }
    let isRecovering = job.attemptsStarted > 1
    return {
      training,
      signal,
      log,
      progress(change) {
        current = { ...current, ...change }
        offer(current)
        // It gets on again: what went wrong before is no longer true for the Loop, only a fact in the journal.
        if (isRecovering && typeof change.progress === 'number') {
          isRecovering = false
          training.patience?.getsOn(job.data.stage)
          ignoreOutage(clearError(training, job.data.stage))
        }
      },
      say,
      warn(key, message) {
        if (shownErrors.has(training, key, message)) return
        log.warn({ key, message }, 'warning shown at the Loop')
        say(`warning: ${message}`)
        ignoreOutage(training.update({ errors: shownErrors.note(training, key, message) }))
      },
      audience: toAudience(training.output, jobLog, (warning) => {
        say(warning)
        ignoreOutage(noteWarning(training, warning))
      }),
    }
  }

  async function publish(
    training: TrainingRun,
    stage: StageName,
    job: JobHandle<StepJob>,
    progress: StepProgress,
    log: Logger,
  ) {
    try {
      const shown = showsProgress(stage) ? training.update({ progress: progress.progress }) : undefined
      await Promise.all([job.updateProgress(progress), shown])
    } catch (error) {
      log.debug({ err: error }, 'progress not written')
    }
  }

  async function noteError(
    training: TrainingRun,
    stage: StageName,
    job: JobHandle<StepJob>,
    error: unknown,
    signal: AbortSignal,
  ) {
    if (signal.aborted) return
    if (failureClassOf(error) === 'transient') training.patience?.waits(stage)
    training.log.warn({ err: error, stage, failure: failureClassOf(error) }, 'stage failed')
    training.output.write(plainText(`${stage} failed: ${messageOf(error)}`))
    try {
      const where = { stage, hostId: training.hostId, attempt: job.attemptsStarted, at: Date.now() }
      await training.update({
        errors: shownErrors.note(training, errorKeys[stage], messageOf(error)),
        facts: { failure: toFailureFacts(error, where) },
      })
    } catch (failure) {
      training.log.warn({ err: failure, stage }, 'error not recorded') // what counts is the error itself
    }
  }

  async function clearError(training: TrainingRun, stage: StageName) {
    const cleared = shownErrors.clear(training, (key) => key === errorKeys[stage])
    if (cleared === undefined) return
    try {
      await training.update({ errors: cleared.others })
    } catch (error) {
      cleared.putBack()
      throw error
    }
  }
}

function toEnd(reason: unknown, jobId: string): unknown {
  return reason instanceof WorkerShutdownError ? new StepHandedBackError(jobId) : reason
}

async function noteWarning(training: TrainingRun, warning: string): Promise<void> {
  const { run } = training
  await training.update({ facts: withWarning(warningsOf(await training.record()), warning, run) })
}

function showsProgress(stage: StageName): boolean {
  return stage === 'download-data' || stage === 'train' || stage === 'detect'
}

// Lines and progress are for people; the work goes on when Redis is away for a moment.
function ignoreOutage(write: Promise<unknown>): void {
  write.catch(() => undefined)
}
