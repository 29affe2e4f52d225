import { z } from 'zod'
import type { Logger } from '../../base/logger/index.js'
import type { TrainingRecord } from '../../queue/index.js'
import { levelOf } from '../../queue/redis-basics/index.js'
import type { RunStore } from './run-store.js'

const FAILED_STARTS = 'failedStarts'
const FURTHEST = 'furthest'
/** A training that steps down more often has other troubles. */
const MAX_MARKS = 50
const marksSchema = z.array(z.string()).catch([])
const shareSchema = z.number().min(0).max(1).nullable().catch(null)

/** What earlier starts of a training's program have shown, on whatever host; kept in the facts of its record. */
export type EarlierStarts = {
  /** Marks of the checkpoints and models that a start has failed with. */
  readonly failed: ReadonlySet<string>
  /** How far the training has come at most, 0 to 1; null if no program has reported it. */
  readonly furthest: number | null
  /** The last epoch that was reported; null if none was. */
  readonly epoch: number | null
  noteFailed(...marks: readonly string[]): Promise<void>
  noteReached(reached: { readonly epoch: number | null; readonly progress: number | null }): Promise<void>
}

export function createEarlierStarts(
  taken: Pick<TrainingRecord, 'facts' | 'best' | 'progress' | 'state'>,
  deps: Pick<RunStore, 'update'> & { readonly log: Logger },
): EarlierStarts {
  const failed = new Set(marksSchema.parse(taken.facts[FAILED_STARTS]))
  let epoch = taken.best?.epoch ?? null
  // In the state of the running program the record's progress is that of the program.
  const last = taken.state === 'running' ? taken.progress : null
  let furthest = higher(shareSchema.parse(taken.facts[FURTHEST] ?? null), last)

  async function write(facts: TrainingRecord['facts']): Promise<void> {
    await deps.update({ facts }).catch((error: unknown) => {
      deps.log[levelOf(error)]({ err: error }, 'start not noted') // this run knows it; a later one tries it again
    })
  }

  return {
    failed,
    get furthest() {
      return furthest
    },
    get epoch() {
      return epoch
    },
    async noteFailed(...marks) {
      for (const mark of marks) failed.add(mark)
      await write({ [FAILED_STARTS]: [...failed].slice(-MAX_MARKS) })
    },
    async noteReached(reached) {
      epoch = higher(epoch, reached.epoch)
      const before = furthest
      furthest = higher(furthest, reached.progress)
      if (furthest !== before) await write({ [FURTHEST]: furthest })
    },
  }
}

function higher(one: number | null, other: number | null): number | null {
  if (one === null || other === null) return one ?? other
  return Math.max(one, other)
}
