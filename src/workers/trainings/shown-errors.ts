import { messageOf } from '../../base/index.js'
import { errorKeyOf, type TrainingRecord } from '../../queue/index.js'
import type { TrainingRun } from './training-run.js'
import { withoutWarnings } from './warnings.js'

type Errors = Readonly<Record<string, string>>

/** The errors the Loop sees of a run. Known without asking: an unfinished training's are written by its run only. */
export type ShownErrors = {
  /** All of them with this one; to be written by the caller. */
  note(training: TrainingRun, key: string, message: string): Errors
  /** All but those that go, if there were any of them, else undefined; to be written by the caller, or put back. */
  clear(training: TrainingRun, goes: (key: string) => boolean): { readonly others: Errors; putBack(): void } | undefined
  /** Whether this very error is shown. */
  has(training: TrainingRun, key: string, message: string): boolean
}

export function createShownErrors(): ShownErrors {
  const known = new WeakMap<TrainingRun, Errors>()
  const of = (training: TrainingRun) => known.get(training) ?? training.taken.errors

  function note(training: TrainingRun, key: string, message: string): Errors {
    const errors = { ...of(training), [key]: message }
    known.set(training, errors)
    return errors
  }

  return {
    note,
    clear(training, goes) {
      const entries = Object.entries(of(training))
      const cleared = entries.filter(([key]) => goes(key))
      if (cleared.length === 0) return undefined
      const others = Object.fromEntries(entries.filter(([key]) => !goes(key)))
      // Gone at once: what another step notes meanwhile is written later and must not bring it back.
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

/** What the Loop sees of a training that has failed: what its steps have shown, or else this error under the key of its state. */
export function errorsAtEnd({ errors, state }: Pick<TrainingRecord, 'errors' | 'state'>, error: unknown): Errors {
  const hasCause = Object.keys(withoutWarnings(errors)).length > 0
  return hasCause ? errors : { ...errors, [errorKeyOf(state)]: messageOf(error) }
}
