import type { TrainingPayload } from '../../queue/index.js'

/** What a program reports of how far it is: its epoch, or its progress if it knows of none. */
export type Reached = {
  readonly epoch?: number | null | undefined
  readonly progress?: number | null | undefined
  /** It has results of that epoch; else the epoch may have just begun. */
  readonly isDone?: boolean
}

/** What one program has reported. */
export type ProgramWatch = {
  /** The last one. */
  readonly epoch: number | null
  /** It has finished an epoch or a part of its work. */
  readonly hasWorked: boolean
  /** It came further than its training had ever been. */
  readonly hasGained: boolean
  /** This program, or one before it. */
  readonly hasEverGained: boolean
}

type Current = {
  first: Reached | undefined
  last: number | null
  hasWorked: boolean
  readonly onWorked: () => void
}

/** Names of the facts that hold how far the training has ever been. */
const FURTHEST_EPOCH = 'furthestEpoch'
const FURTHEST_PROGRESS = 'furthestProgress'

/** How far a training has ever been, over all its runs: only what comes further is progress. */
export function createFurthest({ facts, best }: Pick<TrainingPayload, 'facts' | 'best'>) {
  let epoch = numberOf(facts[FURTHEST_EPOCH] ?? best?.epoch)
  let progress = Math.max(0, numberOf(facts[FURTHEST_PROGRESS]))
  let written = { epoch, progress }
  let gains = 0
  let current = blank()

  function blank(onWorked: () => void = () => undefined): Current {
    return { first: undefined, last: null, hasWorked: false, onWorked }
  }

  function noteGain(step: Reached): void {
    const { epoch: at, progress: part } = step
    if (typeof at === 'number') {
      // The epoch before one that goes on is done, if there was one.
      const done = step.isDone === true ? at : at - 1
      if (done <= epoch || (step.isDone !== true && done < 1)) return
      gains += 1
      epoch = done
    } else if (typeof part === 'number' && epoch === Number.NEGATIVE_INFINITY) {
      if (part > progress) gains += 1
      progress = Math.max(progress, part)
    }
  }

  function noteWork(step: Reached): void {
    current.last = step.epoch ?? current.last
    if (current.hasWorked) return
    const { first } = current
    current.first ??= step
    const isFurther = first !== undefined && isHigher(step, first)
    if (step.isDone !== true && !isFurther) return
    current.hasWorked = true
    current.onWorked()
  }

  return {
    reached(step: Reached): void {
      if (typeof step.epoch !== 'number' && typeof step.progress !== 'number' && step.isDone !== true) return
      noteGain(step)
      noteWork(step)
    },
    /** What the record does not have yet, if anything; confirm when it has it. */
    unwritten(): { readonly facts: Readonly<Record<string, number>> | undefined; confirm(): void } {
      const now = { epoch, progress }
      const changed = {
        ...(now.epoch > written.epoch && { [FURTHEST_EPOCH]: now.epoch }),
        ...(now.progress > written.progress && { [FURTHEST_PROGRESS]: now.progress }),
      }
      return {
        facts: Object.keys(changed).length === 0 ? undefined : changed,
        confirm: () => (written = now),
      }
    },
    watch(onWorked: () => void): ProgramWatch {
      const own = blank(onWorked)
      current = own
      const before = gains
      return {
        get epoch() {
          return own.last
        },
        get hasWorked() {
          return own.hasWorked
        },
        get hasGained() {
          return gains > before
        },
        get hasEverGained() {
          return epoch > Number.NEGATIVE_INFINITY || progress > 0
        },
      }
    },
  }
}

function isHigher(step: Reached, first: Reached): boolean {
  if (typeof step.epoch === 'number' && typeof first.epoch === 'number') return step.epoch > first.epoch
  return typeof step.progress === 'number' && typeof first.progress === 'number' && step.progress > first.progress
}

function numberOf(value: unknown): number {
  return typeof value === 'number' ? value : Number.NEGATIVE_INFINITY
}
