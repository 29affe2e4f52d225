import type { TrainingRun } from './training-run.js'

type Errors = Readonly<Record<string, string>>

/** The errors the Loop sees of a run. Known without asking: an unfinished training's are written by its run only. */
export type ShownErrors = {
  /** All of them with this one; to be written by the caller. */
  note(training: TrainingRun, key: string, message: string): Errors
  /** All others when this one was there, else undefined; to be written by the caller, or put back. */
  clear(training: TrainingRun, key: string): { readonly others: Errors; putBack(): void } | undefined
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
    clear(training, key) {
      const { [key]: cleared, ...others } = of(training)
      if (cleared === undefined) return undefined
      // Gone at once: what another step notes meanwhile is written later and must not bring it back.
      known.set(training, others)
      return { others, putBack: () => void note(training, key, cleared) }
    },
  }
}
