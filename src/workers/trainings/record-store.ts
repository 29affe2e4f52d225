import {
  type FailedAttempt,
  RecordLostError,
  type Stage as StageName,
  type TrainingPayload,
  type Trainings,
} from '../../queue/index.js'
import type { Run } from '../engine/pipeline.js'
import { createFurthest, type ProgramWatch } from './furthest.js'
import type { DoneStep } from './run-stage.js'
import type { RunStore } from './run-store.js'

/** The record of a run that the engine has claimed. */
export type RecordStore = RunStore & {
  /** Notes a step as done, with what changes with it. */
  finishStep(
    stage: StageName,
    step: DoneStep & { readonly hostId: string },
    patch: Partial<TrainingPayload>,
  ): Promise<void>
  /** Writes the fields that this run has written once more, for a Redis that has lost them. */
  writeAgain(): Promise<void>
  /** Follows what a program reports from now on; calls back when it has reported that it works. */
  watchProgram(onWorked: () => void): ProgramWatch
  /** Notes a failure of a program, and counts it once; returns those that are kept, and how many count since it last made progress. */
  noteFailure(
    mark: string,
    failure: FailedAttempt,
  ): Promise<{ readonly failures: readonly FailedAttempt[]; readonly counted: number }>
}

export type RecordStoreDeps = {
  readonly trainings: Pick<Trainings, 'records' | 'load' | 'appendLog' | 'addPoints'>
}

/** As many as may fail within a day. */
const KEPT_FAILURES = 20

export function recordStore(run: Run<TrainingPayload>, { trainings }: RecordStoreDeps): RecordStore {
  const { id } = run.claim
  const furthest = createFurthest(run.record.payload)

  // Without steps and models: the next run decides by them what is to be done, so they must not be written by guess.
  let written: Partial<TrainingPayload> = {}

  function note({ steps: _, models: _models, ...patch }: Partial<TrainingPayload>): void {
    written = { ...written, ...patch, ...(patch.facts && { facts: { ...written.facts, ...patch.facts } }) }
  }

  function lost(): RecordLostError {
    return new RecordLostError({ what: `training ${id}`, run: run.claim.run, found: null })
  }

  return {
    async record() {
      const record = await trainings.load(id)
      if (record === undefined) throw lost()
      return record
    },
    async update(patch) {
      const { best } = patch
      note(patch)
      if (typeof best?.epoch === 'number') furthest.reached({ epoch: best.epoch, isDone: true })
      const { facts, confirm } = furthest.unwritten()
      // A program that begins from the first epoch after each failure makes no progress, however often it has a best model.
      if (facts !== undefined) await run.update({ ...patch, facts: { ...patch.facts, ...facts } }, 'best')
      else await run.update(patch, best ? 'useful' : undefined)
      confirm()
    },
    reached: furthest.reached,
    watchProgram: furthest.watch,
    checkFence: run.check,
    addPoints: (points) => trainings.addPoints(id, points),
    appendLog: (text) => trainings.appendLog(id, text),
    async finishStep(stage, step, patch) {
      note(patch)
      await run.update({ ...patch, steps: { [stage]: { ...step, at: Date.now() } } }, 'useful')
    },
    writeAgain: () => run.update(written),
    async noteFailure(mark, failure) {
      const before = await trainings.records.load(id)
      if (before === undefined) throw lost()
      const failures = [...before.payload.failedAttempts, failure].slice(-KEPT_FAILURES)
      const { facts, confirm } = furthest.unwritten()
      if (facts !== undefined) await run.update({ facts }, 'best')
      await run.update({ failedAttempts: failures }, failure.isCounted ? { failure: mark } : undefined)
      confirm()
      const record = await trainings.records.load(id)
      if (record === undefined) throw lost()
      return { failures, counted: record.failures }
    },
  }
}
