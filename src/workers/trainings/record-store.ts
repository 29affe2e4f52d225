import { RecordLostError, type Stage as StageName, type TrainingPayload, type Trainings } from '../../queue/index.js'
import type { Run } from '../engine/pipeline.js'
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
  /** Counts a failure of a program once; returns how many there were since the training last made progress. */
  countFailure(name: string): Promise<number>
}

export type RecordStoreDeps = {
  readonly trainings: Pick<Trainings, 'records' | 'load' | 'appendLog' | 'addPoints'>
}

/** Name of the fact with the highest epoch that had a best model. */
const FURTHEST = 'furthestEpoch'

export function recordStore(run: Run<TrainingPayload>, { trainings }: RecordStoreDeps): RecordStore {
  const { id } = run.claim
  let furthest = furthestOf(run.record.payload)

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
      const epoch = best?.epoch ?? Number.NEGATIVE_INFINITY
      // A program that begins from the first epoch after each failure makes no progress, however often it has a best model.
      if (epoch > furthest) {
        await run.update({ ...patch, facts: { ...patch.facts, [FURTHEST]: epoch } }, 'best')
        furthest = epoch
      } else await run.update(patch, best ? 'useful' : undefined)
    },
    checkFence: run.check,
    addPoints: (points) => trainings.addPoints(id, points),
    appendLog: (text) => trainings.appendLog(id, text),
    async finishStep(stage, step, patch) {
      note(patch)
      await run.update({ ...patch, steps: { [stage]: { ...step, at: Date.now() } } }, 'useful')
    },
    writeAgain: () => run.update(written),
    async countFailure(name) {
      await run.update({}, { failure: name })
      const record = await trainings.records.load(id)
      if (record === undefined) throw lost()
      return record.failures
    },
  }
}

function furthestOf({ facts, best }: TrainingPayload): number {
  const epoch = facts[FURTHEST] ?? best?.epoch
  return typeof epoch === 'number' ? epoch : Number.NEGATIVE_INFINITY
}
