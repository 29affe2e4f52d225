import { failureClassOf, messageOf, TrainingStoppedError } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import { plainText } from '../../base/terminal/index.js'
import { type StepProgress, type TrainingProgressFields, warningsOf, withWarning } from '../../queue/index.js'
import { levelOf } from '../../queue/redis-basics/index.js'
import { toFailureFacts } from '../engine/failure-facts.js'
import { createThrottle } from '../engine/throttle.js'
import { createJobLog, type LogWriter, toAudience } from '../workspaces/index.js'
import { createLoopErrors } from './loop-errors.js'
import { type Stage, type StageContext, type StageDeps, stateFields } from './stages/stage.js'
import type { TrainingRun } from './training-run.js'
import { isWarning } from './warnings.js'

/** The job of a step during one attempt: where its progress, log and result are written. */
export type StepJob = {
  /** Number of the attempt, from 1. */
  readonly attempt: number
  /** Progress and log of the job, for people; neither throws. */
  updateProgress(change: Partial<StepProgress>): Promise<void>
  log(...lines: readonly string[]): Promise<void>
  /** Notes the step as done in the record, together with the last writes: fields of the record, progress and log of the job. */
  finish(step: DoneStep, last: LastWrites): Promise<void>
}

export type DoneStep = { readonly seconds: number; readonly result: unknown }
type LastWrites = {
  readonly patch: Partial<TrainingProgressFields>
  readonly progress: StepProgress | undefined
  readonly lines: readonly string[]
}

type StageAttempt = {
  readonly training: TrainingRun
  readonly stage: Stage
  readonly job: StepJob
  readonly signal: AbortSignal
  readonly log: Logger
}

export type StageRunnerDeps = {
  readonly stageDeps: StageDeps
  /** A program of this trainer has failed on this host. */
  readonly onProgramFailed?: ((kind: 'trainer', name: string, error: unknown) => void) | undefined
}

export type RunStage = (training: TrainingRun, stage: Stage, job: StepJob, signal: AbortSignal) => Promise<unknown>

const PROGRESS_EVERY_MS = 500

/**
 * What surrounds every attempt at a stage: fence, signal, time, log, record, and the error that the Loop sees meanwhile. Throws
 * what the stage has thrown, or the signal's reason.
 */
export function createStageRunner(deps: StageRunnerDeps): RunStage {
  const loopErrors = createLoopErrors()

  return async function runStage(training, stage, job, signal) {
    const log = training.log.child({ component: 'stage', stage: stage.name })
    const attempt: StageAttempt = { training, stage, job, signal, log }
    const throttle = createThrottle(PROGRESS_EVERY_MS, (progress: StepProgress) => publish(attempt, progress))
    const jobLog = createJobLog(job, { whole: `the log of training ${training.id}` })
    const context = createContext(attempt, throttle.offer, jobLog)
    const startedAt = performance.now()
    try {
      if (stage.onStop !== 'keeps-model') signal.throwIfAborted()
      await training.checkFence()
      log.info({ attempt: job.attempt }, 'stage started')
      jobLog.write(`${stage.name} started on ${training.hostId}, run ${training.run}, attempt ${job.attempt}`)
      const result = await stage.run(context, deps.stageDeps)
      const seconds = (performance.now() - startedAt) / 1000
      if (stage.onStop !== 'keeps-model') context.progress({ progress: 1 }) // what a stop has cut short is done before that
      const progress = await throttle.take()
      const lines = jobLog.take(`${stage.name} done in ${seconds.toFixed(2)} s`)
      await finish(attempt, { seconds, result }, { progress, lines })
      log.info({ seconds }, 'stage done')
      return result
    } catch (error) {
      await throttle.flush().catch(() => undefined) // progress is worth nothing beside the error itself
      const isEnded = signal.aborted && !isFailureAfterStop(attempt, error)
      void jobLog.close(...(isEnded ? [] : [`${stage.name} failed: ${messageOf(error)}`]))
      if (isEnded) throw signal.reason
      await noteError(attempt, error)
      throw error
    }
  }

  // One write: nobody sees a done step with the state or the error of before, or with a job that has not come so far.
  async function finish({ training, stage, job }: StageAttempt, done: DoneStep, last: Omit<LastWrites, 'patch'>) {
    training.placeLending?.onProgress(stage.name)
    // The training is over: its last status must not look like a failure.
    const isOver = stage.onStop === 'always'
    const cleared = loopErrors.clear(training, (key) => key === stage.errorKey || (isOver && isWarning(key)))
    const patch = { ...stateFields(stage.loopStates.after), ...(cleared && { errors: cleared.others }) }
    try {
      await job.finish(done, { patch, ...last })
    } catch (error) {
      cleared?.putBack()
      throw error
    }
  }

  function createContext(
    attempt: StageAttempt,
    offer: (progress: StepProgress) => void,
    jobLog: LogWriter,
  ): StageContext {
    const { training, stage, signal, log } = attempt
    let current: StepProgress = { progress: null, gpus: null, process: null }
    const say = (line: string) => {
      const plain = plainText(line)
      jobLog.write(plain)
      training.output.write(plain)
    }
    let isRecovering = attempt.job.attempt > 1 || training.taken.errors[stage.errorKey] !== undefined
    return {
      ...{ training, signal, log, say },
      progress(change) {
        current = { ...current, ...change }
        offer(current)
        // It makes progress again: what went wrong before is no longer true for the Loop, only a fact in the record.
        if (isRecovering && typeof change.progress === 'number') {
          isRecovering = false
          training.placeLending?.onProgress(stage.name)
          ignoreOutage(clearError(attempt))
        }
      },
      warn(key, message) {
        if (loopErrors.has(training, key, message)) return
        log.warn({ key, message }, 'warning reported to the Loop')
        say(`warning: ${message}`)
        ignoreOutage(training.update({ errors: loopErrors.note(training, key, message) }))
      },
      noteWaiting: () => startWaiting(attempt),
      audience: toAudience(training.output, jobLog, (warning) => {
        say(warning)
        ignoreOutage(noteWarning(training, warning))
      }),
    }
  }

  async function noteError(attempt: StageAttempt, error: unknown) {
    const { training, stage, job, log } = attempt
    const failure = failureClassOf(error)
    if (failure === 'transient') startWaiting(attempt)
    if (failure === 'program') deps.onProgramFailed?.('trainer', training.definition.name, error)
    log.warn({ err: error, failure }, 'stage failed')
    training.output.write(plainText(`${stage.name} failed: ${messageOf(error)}`))
    try {
      const where = { stage: stage.name, hostId: training.hostId, attempt: job.attempt, at: Date.now() }
      await training.update({
        errors: loopErrors.note(training, stage.errorKey, messageOf(error)),
        facts: { failure: toFailureFacts(error, where) },
      })
    } catch (notNoted) {
      log[levelOf(notNoted)]({ err: notNoted }, 'error not recorded') // what counts is the error itself
    }
  }

  async function clearError({ training, stage }: StageAttempt) {
    const cleared = loopErrors.clear(training, (key) => key === stage.errorKey)
    if (cleared === undefined) return
    try {
      await training.update({ errors: cleared.others })
    } catch (error) {
      cleared.putBack()
      throw error
    }
  }
}

// A stop is no end of the stage that says what is kept: what fails there must not look as if there were nothing.
function isFailureAfterStop({ training, stage }: StageAttempt, error: unknown): boolean {
  const isAsked = stage.onStop === 'keeps-model' && !training.stopSwitch.endSignal.aborted
  return isAsked && !(error instanceof TrainingStoppedError)
}

async function publish({ training, stage, job, log }: StageAttempt, progress: StepProgress): Promise<void> {
  try {
    const atLoop = stage.reportsProgress ? training.update({ progress: progress.progress }) : undefined
    await Promise.all([job.updateProgress(progress), atLoop])
  } catch (error) {
    log.debug({ err: error }, 'progress not written')
  }
}

// A training that has slots keeps its place: nobody else could use them.
function startWaiting({ training, stage }: StageAttempt): void {
  if (training.lease === undefined) training.placeLending?.onWaiting(stage.name)
}

async function noteWarning(training: TrainingRun, warning: string): Promise<void> {
  const { run } = training
  await training.update({ facts: withWarning(warningsOf(await training.record()), warning, run) })
}

// Lines and progress are for people; the work goes on while Redis is unreachable for a moment.
function ignoreOutage(write: Promise<unknown>): void {
  write.catch(() => undefined)
}
