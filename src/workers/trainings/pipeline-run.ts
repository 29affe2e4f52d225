import { access } from 'node:fs/promises'
import { messageOf, TrainingStoppedError } from '../../base/index.js'
import type { Lease, Slots } from '../../executors/gpu/index.js'
import type { TrainerState } from '../../loop/protocol/index.js'
import { type GpusToSpare, gpusToSpare, type Stage as StageName } from '../../queue/index.js'
import { deviceOf } from '../engine/served.js'
import type { PipelineRun } from './pipeline.js'
import { type Stage, type Stages, stateFields } from './stages/stage.js'
import type { TrainingRun } from './training-run.js'

export type PipelineRunDeps = {
  readonly stages: Stages
  /** Runs a step with all its attempts, and ends it when the signal aborts. A stage that keeps what it has is run in any case. */
  readonly runStep: (stage: Stage, signal: AbortSignal) => Promise<unknown>
  readonly slots: Slots
  /** Called when it has its slots, needs none any more, or has given them back. */
  readonly onSlots?: () => void
}

/** The pipeline of one run: each step runs on this host, and a step that is done is skipped. */
export function createPipelineRun(
  training: TrainingRun,
  deps: PipelineRunDeps,
): PipelineRun & { readonly cleanUp: () => Promise<void> } {
  const { stopSwitch, definition } = training
  const { stages } = deps
  const running = new Set<StageName>()
  const done = new Set<StageName>()

  /** Returns whether the step is done; false if a stop ended it. */
  async function runStep(stage: Stage): Promise<boolean> {
    const signal = stopSwitch.signalFor(stage)
    try {
      if (stage.onStop !== 'keeps-model') signal.throwIfAborted()
      await deps.runStep(stage, signal)
      return true
    } catch (error) {
      if (stage.onStop === 'always') throw error
      if (!signal.aborted || stopSwitch.endSignal.aborted) throw endWith(error)
      if (stage.onStop === 'keeps-model') throw error instanceof TrainingStoppedError ? error : endWith(error)
      return false // the training says whether there is a model, and a detection is left as it is
    }
  }

  // Ends all steps of the run, the other download too. Returns what ended the run first: an abort wins over the failure that it causes.
  function endWith(error: unknown): unknown {
    stopSwitch.end(error instanceof Error ? error : new Error(String(error)))
    return stopSwitch.endSignal.reason
  }

  async function step(name: StageName): Promise<void> {
    const stage = stages[name]
    const isTraining = stage.onStop === 'keeps-model'
    if (isTraining) stopSwitch.phase = 'training'
    if (done.has(name) || (await isDone(stage, training))) {
      training.log.debug({ stage: name }, 'stage was done before')
    } else {
      running.add(name)
      // After a stop the stage only checks whether there is a model, so no new state is reported.
      const reported = startReport(stopSwitch.signalFor(stage).aborted ? null : stage.loopStates.during)
      const isFinished = await runStep(stage).finally(() => running.delete(name))
      await reported
      if (isFinished)
        done.add(name) // the state after it was written together with the step
      else if (stage.onStop === 'optional') await report(stage.loopStates.after)
    }
    if (name === 'download-data' && waitsForModel()) await report('train_model_downloading')
    if (isTraining) stopSwitch.phase = 'after'
  }

  // The two downloads run at the same time, but the states of the Loop have them one after the other.
  function waitsForModel(): boolean {
    const isWanted = training.order.baseModel.kind === 'loop' && !stopSwitch.signalFor(stages['download-model']).aborted
    return isWanted && running.has('download-model')
  }

  // A stop while waiting for a slot: `train` decides whether there is a model of an earlier run to go on with.
  async function acquire(how: GpusToSpare & { readonly ahead?: boolean }): Promise<Lease | undefined> {
    const signal = stopSwitch.signalFor(stages.train)
    try {
      return await deps.slots.acquire(definition.gpus, { signal, ...how })
    } catch (error) {
      if (signal.reason instanceof TrainingStoppedError && !stopSwitch.endSignal.aborted) return undefined
      throw error
    }
  }

  async function changeGpus(how: GpusToSpare): Promise<boolean> {
    const before = training.lease
    if (before === undefined || before.cards.length === 0) return false
    before.release()
    training.lease = undefined
    training.lease = await acquire({ ...how, ahead: true })
    return training.lease !== undefined && String(training.lease.slots) !== String(before.slots)
  }

  async function report(state: TrainerState | null): Promise<void> {
    if (state !== null) await training.update(stateFields(state))
  }

  // Starts the write now, so that it reaches Redis before the next one. The caller awaits it later, or never if it fails first.
  function startReport(state: TrainerState | null): Promise<void> {
    const reported = report(state)
    reported.catch(() => undefined)
    return reported
  }

  return {
    step,
    converts: definition.convert.length > 0,
    detects: () => definition.detect !== undefined && !stopSwitch.skipsDetection,
    async withLease(work) {
      // A stop that is already there starts no program, so it needs no slot.
      if (stopSwitch.signalFor(stages.train).aborted || (await isDone(stages.train, training))) {
        deps.onSlots?.()
        return work()
      }
      const reported = startReport('train_model_downloaded')
      const lease = await acquire(gpusToSpare(training.taken.failedAttempts, training.taken.failures, training.hostId))
      training.lease = lease
      deps.onSlots?.()
      training.changeGpus = changeGpus
      if (lease !== undefined) training.log.info({ asked: definition.gpus, device: deviceOf(training) }, 'slots lent')
      try {
        await work()
        await reported
      } finally {
        training.lease?.release()
        training.lease = undefined
        deps.onSlots?.()
      }
    },
    async cleanUp() {
      try {
        const reported = startReport(stages.cleanup.loopStates.during)
        await runStep(stages.cleanup)
        await reported
      } catch (error) {
        training.log.warn({ reason: messageOf(error) }, 'cleaning up failed')
      }
    },
  }
}

/** What is on this host's disk counts here only; what is at the Loop counts everywhere. */
async function isDone(stage: Stage, training: TrainingRun): Promise<boolean> {
  const { steps } = training.taken
  if (stage.servesUpload && steps['upload-model'] !== undefined) return true
  const step = steps[stage.name]
  if (step === undefined) return false
  if (stage.results === 'at-loop') return true
  if (step.hostId !== training.hostId) return false
  const there = await Promise.all(stage.results(training).map(isThere))
  return there.every((found) => found)
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
