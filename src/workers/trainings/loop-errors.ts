import { messageOf } from '../../base/index.js'
import { errorKeyOf, type TrainingRecord } from '../../queue/index.js'
import type { TrainingRun } from './training-run.js'
import { withoutWarnings } from './warnings.js'

type Errors = Readonly<Record<string, string>>

/** The errors of a run in the status at the Loop. Kept in memory: only its run writes the errors of an unfinished training. */
export type LoopErrors = {
  /** Adds this error and returns all of them; the caller writes them. */
  note(training: TrainingRun, key: string, message: string): Errors
  /** Removes errors and returns the others, which the caller writes or, if that fails, puts back; undefined if there was none to remove. */
  clear(
    training: TrainingRun,
    isCleared: (key: string) => boolean,
  ): { readonly others: Errors; putBack(): void } | undefined
  /** Whether the same error with the same message is among them. */
  has(training: TrainingRun, key: string, message: string): boolean
}

export function createLoopErrors(): LoopErrors {
  const known = new WeakMap<TrainingRun, Errors>()
  const of = (training: TrainingRun) => known.get(training) ?? training.taken.errors

  function note(training: TrainingRun, key: string, message: string): Errors {
    const errors = { ...of(training), [key]: message }
    known.set(training, errors)
    return errors
  }

  return {
    note,
    clear(training, isCleared) {
      const entries = Object.entries(of(training))
      const cleared = entries.filter(([key]) => isCleared(key))
      if (cleared.length === 0) return undefined
      const others = Object.fromEntries(entries.filter(([key]) => !isCleared(key)))
      // Removed before the write: what another step notes meanwhile is written later and must not add it again.
      known.set(training, others)
      return {
        others,
        putBack() {
          for (const [key, message] of cleared) note(training, key, message)
        },
      }
    },
    has: (training, key, message) => of(training)[key] === message,
  }
}

/** The same with this error under the key of its state. */
export function withMessage({ errors, state }: Pick<TrainingRecord, 'errors' | 'state'>, error: unknown): Errors {
  return { ...errors, [errorKeyOf(state)]: messageOf(error) }
}

/** The errors at the Loop of a training that has failed: those of its steps, or else this one under the key of its state. */
export function errorsAtEnd({ errors, state }: Pick<TrainingRecord, 'errors' | 'state'>, error: unknown): Errors {
  const hasCause = Object.keys(withoutWarnings(errors)).length > 0
  return hasCause ? errors : withMessage({ errors, state }, error)
}
