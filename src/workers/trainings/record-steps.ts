import { setTimeout as sleep } from 'node:timers/promises'
import {
  type BackOffOptions,
  backOffMs,
  failureClassOf,
  isUnclassified,
  messageOf,
  UNCLASSIFIED_ATTEMPTS,
} from '../../base/index.js'
import type { StepHandle, StepProgress, StepQueue, TrainingPayload, WorkKind } from '../../queue/index.js'
import type { Run } from '../engine/pipeline.js'
import type { ProgramAttempt, ProgramAttempts } from './program-attempts.js'
import type { RecordStore } from './record-store.js'
import type { RunStage, StepJob } from './run-stage.js'
import type { Stage } from './stages/stage.js'
import type { TrainingRun } from './training-run.js'

export type StepQueues = Readonly<Record<WorkKind, Pick<StepQueue, 'run'>>>

export type RecordStepsDeps = {
  readonly run: Pick<Run<TrainingPayload>, 'claim' | 'shutdownSignal'>
  readonly store: Pick<RecordStore, 'finishStep'>
  readonly programs: ProgramAttempts
  readonly steps: StepQueues
  readonly runStage: RunStage
  readonly backOff?: BackOffOptions | undefined
}

/** The steps of a run: each is one job on a queue of this host, in which its attempts follow each other. */
export type RecordSteps = {
  runStep(stage: Stage, signal: AbortSignal): Promise<unknown>
  /** Whether it has failed a step for good; then the record has it already. */
  isNoted(error: unknown): boolean
}

export function createRecordSteps(training: TrainingRun, deps: RecordStepsDeps): RecordSteps {
  const { run, store, programs, steps, runStage } = deps
  const { id, born, run: number } = run.claim
  const noted = new Set<unknown>()
  const times = new Map<string, number>()

  async function runStep(stage: Stage, stageSignal: AbortSignal): Promise<unknown> {
    const { stopSwitch } = training
    const signal = stage.onStop === 'always' ? run.shutdownSignal : stageSignal
    // One that keeps what it has is run after a stop, too.
    const ending = stage.onStop === 'keeps-model' ? stopSwitch.endSignal : signal
    const time = (times.get(stage.name) ?? 0) + 1
    times.set(stage.name, time)
    const job = { id, born, run: number, step: stage.name, time }
    const work = (handle: StepHandle) => untilDone(stage, { handle, signal, ending })
    return await steps[stage.kind].run(job, work, { signal: ending })
  }

  async function untilDone(stage: Stage, { handle, signal, ending }: StepSignals): Promise<unknown> {
    let unclassified = 0
    for (let attempt = 1; ; attempt += 1) {
      const job = toStepJob(stage, attempt, handle)
      const program = programs.begin(stage, attempt)
      const wasStopped = signal.aborted
      try {
        const result = await runStage(training, stage, job, signal)
        program.endedWell()
        return result
      } catch (error) {
        if (ending.aborted || error === signal.reason) throw error
        if (isUnclassified(error)) unclassified += 1
        const isStoppedNow = () => signal.aborted && !wasStopped // it is asked immediately what is kept
        const waitMs = isStoppedNow() ? 0 : await waitAfter(error, { program, attempt, unclassified })
        if (waitMs === undefined && !isStoppedNow()) {
          noted.add(error)
          if (unclassified === UNCLASSIFIED_ATTEMPTS) giveUp(stage, job)
          throw error
        }
        await wait(waitMs ?? 0, { error, attempt, job, signal: wasStopped ? ending : signal })
        ending.throwIfAborted()
      }
    }
  }

  /** How long to wait for another attempt; undefined if there is none. */
  async function waitAfter(
    error: unknown,
    { program, attempt, unclassified }: { program: ProgramAttempt; attempt: number; unclassified: number },
  ): Promise<number | undefined> {
    const failure = failureClassOf(error)
    switch (failure) {
      case 'fatal':
        return undefined
      case 'program':
        return await waitAfterProgram(error, program)
      case 'transient':
        return unclassified < UNCLASSIFIED_ATTEMPTS ? backOffMs(attempt, deps.backOff) : undefined
      default:
        return failure satisfies never
    }
  }

  async function waitAfterProgram(error: unknown, program: ProgramAttempt): Promise<number | undefined> {
    try {
      return backOffMs(await program.failed(error), deps.backOff)
    } catch (end) {
      if (end === error) return undefined
      noted.add(end)
      throw end
    }
  }

  async function wait(waitMs: number, { error, attempt, job, signal }: Failed): Promise<void> {
    const message = `attempt ${attempt + 1} in ${Math.ceil(waitMs / 1000)} s: ${messageOf(error)}`
    if (!signal.aborted) void job.updateProgress({ gpus: null, process: null, message }) // it may be long
    await sleep(waitMs, undefined, { signal }).catch(() => undefined) // the caller reads the signal
  }

  function giveUp({ name }: Stage, job: StepJob): void {
    const line = `${name} given up after ${UNCLASSIFIED_ATTEMPTS} attempts`
    training.output.write(line)
    void job.log(line)
  }

  function toStepJob(stage: Stage, attempt: number, handle: StepHandle): StepJob {
    let current: StepProgress = { progress: null, gpus: null, process: null, attempt }
    const updateProgress = (change: Partial<StepProgress>) => {
      current = { ...current, ...change }
      return handle.updateProgress(current)
    }
    if (attempt > 1) void updateProgress({}) // removes the message about the wait
    return {
      attempt,
      updateProgress,
      log: handle.log,
      async finish(step, { patch, progress, lines }) {
        // Sent before the record, so that nobody sees a done step whose job has less progress.
        const jobWrites = [progress === undefined ? undefined : updateProgress(progress), handle.log(...lines)]
        await Promise.all([...jobWrites, store.finishStep(stage.name, { hostId: training.hostId, ...step }, patch)])
      },
    }
  }

  return { runStep, isNoted: (error) => noted.has(error) }
}

type StepSignals = {
  readonly handle: StepHandle
  /** Ends an attempt, or the wait for the next one. */
  readonly signal: AbortSignal
  /** Ends the step. */
  readonly ending: AbortSignal
}

type Failed = {
  readonly error: unknown
  readonly attempt: number
  readonly job: StepJob
  readonly signal: AbortSignal
}
