import type { TrainerEvent } from '../../executors/contract/index.js'

/** What a program has reached since it was started. */
export type Gain = {
  saw(event: TrainerEvent): void
  /** It has done an epoch that nobody had reported before it was started. */
  readonly hasNewEpoch: boolean
  /** The last epoch and the furthest progress (0 to 1) that it has reported; null if it has reported none. */
  readonly epoch: number | null
  readonly progress: number | null
}

/** `after` is the last epoch reported before, if the program goes on from there; null if it counts its own epochs. */
export function createGain(after: number | null): Gain {
  let hasNewEpoch = false
  let epoch: number | null = null
  let progress: number | null = null
  let firstShown: number | undefined

  function saw(event: TrainerEvent): void {
    if (event.event === 'error') return
    if (event.event === 'progress') {
      if (typeof event.progress === 'number') progress = Math.max(progress ?? 0, event.progress)
      if (typeof event.epoch !== 'number') return
      // A line of an epoch is printed while the epoch runs; it is done when the next one begins.
      firstShown ??= event.epoch
      if (event.epoch > firstShown) reached(event.epoch - 1)
      return
    }
    reached(event.epoch ?? null)
  }

  function reached(done: number | null): void {
    hasNewEpoch ||= done === null || after === null || done > after
    if (done !== null) epoch = Math.max(epoch ?? done, done)
  }

  return {
    saw,
    get hasNewEpoch() {
      return hasNewEpoch
    },
    get epoch() {
      return epoch
    },
    get progress() {
      return progress
    },
  }
}
