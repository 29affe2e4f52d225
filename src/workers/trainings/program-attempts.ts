import { gpusToSpare, type NextAttempt, type TrainingPayload } from '../../queue/index.js'
import { type Blame, gpusOf, type HostProgram } from '../engine/blame.js'
import { toFailureFacts } from '../engine/failure-facts.js'
import type { Run } from '../engine/pipeline.js'
import { FailedTooOftenError, FailsOnEveryHostError, MovesToOtherHostError } from './errors.js'
import type { RecordStore } from './record-store.js'
import type { Stage } from './stages/stage.js'
import type { TrainingRun } from './training-run.js'

export type ProgramAttemptsDeps = {
  readonly run: Pick<Run<TrainingPayload>, 'record' | 'claim'>
  readonly store: Pick<RecordStore, 'watchProgram' | 'noteFailure'>
  readonly blame: Blame
}

/** One attempt at a step, as far as its program is to blame for how it ends. */
export type ProgramAttempt = {
  endedWell(): void
  /**
   * Notes the failure of a program; returns how many count, for the pause before the next attempt on this host. Throws
   * MovesToOtherHostError if another host is to try it, and the last error if there is no further attempt.
   */
  failed(error: unknown): Promise<number>
}

/** The attempts of a run at its programs. Only the training program says something of its host: it alone may begin again elsewhere. */
export function createProgramAttempts(training: TrainingRun, deps: ProgramAttemptsDeps) {
  const { run, store, blame } = deps
  const { id, name } = run.record

  function begin(stage: Stage, attempt: number): ProgramAttempt {
    const mark = `${id}.${run.claim.run}.${stage.name}.${attempt}`
    const isTraining = stage.name === 'train'
    const program: HostProgram = {
      ...{ kind: 'training', name, id, mark, startedAt: performance.now() },
      gpus: gpusOf(training.lease),
      gpusOffered: blame.gpusOffered(),
    }
    const watch = store.watchProgram(() => {
      if (isTraining) blame.succeeded(program, 'worked')
    })
    return {
      endedWell() {
        if (isTraining && watch.hasWorked) blame.succeeded(program, 'finished')
      },
      async failed(error) {
        const where = { stage: stage.name, hostId: training.hostId, attempt, at: Date.now() }
        const { epoch, hasGained } = watch
        const end = { stage: stage.name, facts: toFailureFacts(error, where), epoch, hasGained }
        // Of the other programs nothing is known but their end, which says nothing of the host.
        const failure = await blame.failed(program, { ...end, hasWorked: watch.hasWorked || !isTraining })
        const { failures, counted } = await store.noteFailure(mark, failure)
        const mayLeave = isTraining && !isBound(training, watch.hasEverGained)
        const next = await blame.next({ record: run.record, failures, counted, mayLeave })
        if (next.next === 'none') throw toError(next.why, error, failures)
        if (next.next === 'elsewhere') throw new MovesToOtherHostError({ ...next, cause: error })
        const isMoved = await training.changeGpus(gpusToSpare(failures, counted, training.hostId))
        if (isMoved) training.output.write(`the next attempt has GPU ${training.lease?.slots.join(', ')}`)
        return counted
      },
    }
  }

  return { begin }
}

export type ProgramAttempts = ReturnType<typeof createProgramAttempts>

/** What has brought something stays where its files are, unless they are packed for all hosts. */
function isBound({ checkpoints, taken }: TrainingRun, hasEverGained: boolean): boolean {
  return checkpoints === undefined && (hasEverGained || taken.best !== null)
}

function toError(
  why: Extract<NextAttempt, { next: 'none' }>['why'],
  error: unknown,
  failures: readonly { readonly hostId: string }[],
): unknown {
  switch (why) {
    case 'budget':
      return error
    case 'every-host':
      return new FailsOnEveryHostError([...new Set(failures.map(({ hostId }) => hostId))], error)
    case 'day':
      return new FailedTooOftenError(failures.length, error)
    default:
      return why satisfies never
  }
}
