import { failureClassOf, messageOf, TrainingStoppedError } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import { plainText } from '../../base/terminal/index.js'
import { type StepProgress, type TrainingProgressFields, warningsOf, withWarning } from '../../queue/index.js'
import { levelOf } from '../../queue/redis-basics/index.js'
import { toFailureFacts } from '../engine/failure-facts.js'
import { createThrottle } from '../engine/throttle.js'
import { createJobLog, type LogWriter, toAudience } from '../workspaces/index.js'
import { createShownErrors } from './shown-errors.js'
import { type Stage, type StageContext, type StageDeps, showing } from './stages/stage.js'
import type { TrainingRun } from './training-run.js'
import { isWarning } from './warnings.js'

/** One attempt at a step: its number, and where its progress, log and result are written. */
export type StepAttempt = {
  /** Which one it is, from 1. */
  readonly attempt: number
  /** What people see of the step's job; neither throws. */
  updateProgress(progress: StepProgress): Promise<void>
  log(...lines: readonly string[]): Promise<void>
  /** Notes the step as done in the record, together with what changes then, and with what its job shows last. */
  finish(step: DoneStep, shown: ShownAtEnd): Promise<void>
}

export type DoneStep = { readonly seconds: number; readonly result: unknown }
type ShownAtEnd = {
  readonly patch: Partial<TrainingProgressFields>
  readonly progress: StepProgress | undefined
  readonly lines: readonly string[]
}

type Attempted = {
  readonly training: TrainingRun
  readonly stage: Stage
  readonly job: StepAttempt
  readonly signal: AbortSignal
  readonly log: Logger
}

export type StageRunnerDeps = {
  readonly stageDeps: StageDeps
  /** A program of this trainer has failed on this host. */
  readonly onProgramFailed?: ((kind: 'trainer', name: string, error: unknown) => void) | undefined
}

export type RunStage = (training: TrainingRun, stage: Stage, job: StepAttempt, signal: AbortSignal) => Promise<unknown>

const PROGRESS_EVERY_MS = 500

/**
 * What surrounds every attempt at a stage: fence, signal, time, log, record, and the error that the Loop sees meanwhile. Throws
 * what the stage has thrown, or the signal's reason.
 */
export function createStageRunner(deps: StageRunnerDeps): RunStage {
  const shownErrors = createShownErrors()

  return async function runStage(training, stage, job, signal) {
    const log = training.log.child({ component: 'stage', stage: stage.name })
    const own: Attempted = { training, stage, job, signal, log }
    const throttle = createThrottle(PROGRESS_EVERY_MS, (progress: StepProgress) => publish(own, progress))
    const jobLog = createJobLog(job, { whole: `the log of training ${training.id}` })
    const context = createContext(own, throttle.offer, jobLog)
    const startedAt = performance.now()
    try {
      if (stage.onStop !== 'keeps') signal.throwIfAborted()
      await training.checkFence()
      log.info({ attempt: job.attempt }, 'stage started')
      jobLog.write(`${stage.name} started on ${training.hostId}, run ${training.run}, attempt ${job.attempt}`)
      const result = await stage.run(context, deps.stageDeps)
      const seconds = (performance.now() - startedAt) / 1000
      if (stage.onStop !== 'keeps') context.progress({ progress: 1 }) // what a stop has cut short is done before that
      const progress = await throttle.take()
      const lines = jobLog.take(`${stage.name} done in ${seconds.toFixed(2)} s`)
      await finish(own, { seconds, result }, { progress, lines })
      log.info({ seconds }, 'stage done')
      return result
    } catch (error) {
      await throttle.flush().catch(() => undefined) // progress is worth nothing beside the error itself
      const isEnded = signal.aborted && !isFailureAfterStop(own, error)
      void jobLog.close(...(isEnded ? [] : [`${stage.name} failed: ${messageOf(error)}`]))
      if (isEnded) throw signal.reason
      await noteError(own, error)
      throw error
    }
  }

  // One write: nobody sees a done step with the state or the error of before, or with a job that has not come so far.
  async function finish({ training, stage, job }: Attempted, done: DoneStep, shown: Omit<ShownAtEnd, 'patch'>) {
    training.patience?.getsOn(stage.name)
    // The training is over: its last status must not look like a failure.
    const isOver = stage.onStop === 'follows'
    const cleared = shownErrors.clear(training, (key) => key === stage.errorKey || (isOver && isWarning(key)))
    const patch = { ...showing(stage.shown.after), ...(cleared && { errors: cleared.others }) }
    try {
      await job.finish(done, { patch, ...shown })
    } catch (error) {
      cleared?.putBack()
      throw error
    }
  }

  function createContext(own: Attempted, offer: (progress: StepProgress) => void, jobLog: LogWriter): StageContext {
    const { training, stage, signal, log } = own
    let current: StepProgress = { progress: null, gpus: null, process: null }
    const say = (line: string) => {
      const plain = plainText(line)
      jobLog.write(plain)
      training.output.write(plain)
    }
    let isRecovering = own.job.attempt > 1
    return {
      ...{ training, signal, log, say },
      progress(change) {
        current = { ...current, ...change }
        offer(current)
        // It makes progress again: what went wrong before is no longer true for the Loop, only a fact in the record.
        if (isRecovering && typeof change.progress === 'number') {
          isRecovering = false
          training.patience?.getsOn(stage.name)
          ignoreOutage(clearError(own))
        }
      },
      warn(key, message) {
        if (shownErrors.has(training, key, message)) return
        log.warn({ key, message }, 'warning shown at the Loop')
        say(`warning: ${message}`)
        ignoreOutage(training.update({ errors: shownErrors.note(training, key, message) }))
      },
      waits: () => waits(own),
      audience: toAudience(training.output, jobLog, (warning) => {
        say(warning)
        ignoreOutage(noteWarning(training, warning))
      }),
    }
  }

  async function noteError(own: Attempted, error: unknown) {
    const { training, stage, job, log } = own
    const failure = failureClassOf(error)
    if (failure === 'transient') waits(own)
    if (failure === 'program') deps.onProgramFailed?.('trainer', training.definition.name, error)
    log.warn({ err: error, failure }, 'stage failed')
    training.output.write(plainText(`${stage.name} failed: ${messageOf(error)}`))
    try {
      const where = { stage: stage.name, hostId: training.hostId, attempt: job.attempt, at: Date.now() }
      await training.update({
        errors: shownErrors.note(training, stage.errorKey, messageOf(error)),
        facts: { failure: toFailureFacts(error, where) },
      })
    } catch (notNoted) {
      log[levelOf(notNoted)]({ err: notNoted }, 'error not recorded') // what counts is the error itself
    }
  }

  async function clearError({ training, stage }: Attempted) {
    const cleared = shownErrors.clear(training, (key) => key === stage.errorKey)
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
function isFailureAfterStop({ training, stage }: Attempted, error: unknown): boolean {
  const isAsked = stage.onStop === 'keeps' && !training.stopSwitch.endSignal.aborted
  return isAsked && !(error instanceof TrainingStoppedError)
}

async function publish({ training, stage, job, log }: Attempted, progress: StepProgress): Promise<void> {
  try {
    const shown = stage.showsProgress ? training.update({ progress: progress.progress }) : undefined
    await Promise.all([job.updateProgress(progress), shown])
  } catch (error) {
    log.debug({ err: error }, 'progress not written')
  }
}

// A training that has slots keeps its place: nobody else could use them.
function waits({ training, stage }: Attempted): void {
  if (training.lease === undefined) training.patience?.waits(stage.name)
}

async function noteWarning(training: TrainingRun, warning: string): Promise<void> {
  const { run } = training
  await training.update({ facts: withWarning(warningsOf(await training.record()), warning, run) })
}

// Lines and progress are for people; the work goes on while Redis is unreachable for a moment.
function ignoreOutage(write: Promise<unknown>): void {
  write.catch(() => undefined)
}
