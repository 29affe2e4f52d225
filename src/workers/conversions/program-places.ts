import { Turnstile } from '../../inference/turnstile.js'

export type ProgramPlaces = {
  /** Does the work when a place is free, first come, first served; throws the signal's reason when it aborts before. */
  run<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T>
}

export type ProgramPlacesOptions = {
  /** Programs at once. */
  readonly places: number
  /** Told of each change of how many conversions may be under way, with and without a place. */
  readonly onUnderWay: (most: number) => void
  /** Milliseconds of a clock that never goes back. */
  readonly now?: () => number
}

/** One is on its way here and one on its way back while a program works on a third. */
const BESIDE = 2
/** What waits here could be another host's work meanwhile, so it waits for programs only that do not take long. */
const BRIEF_MS = 30_000

/**
 * Places for the programs of conversions. As long as they are brief, further models are fetched and uploaded beside them;
 * the first one of a worker has to show that it is.
 */
export function createProgramPlaces(options: ProgramPlacesOptions): ProgramPlaces {
  const { places, onUnderWay, now = () => performance.now() } = options
  const turnstile = new Turnstile(places)
  let beside = 0

  function learn(tookMs: number): void {
    const allowed = tookMs <= BRIEF_MS ? BESIDE : 0
    if (allowed === beside) return
    beside = allowed
    onUnderWay(places + beside)
  }

  return {
    async run(work, signal) {
      const leave = await turnstile.enter(signal)
      const startedAt = now()
      try {
        return await work()
      } finally {
        learn(now() - startedAt)
        leave()
      }
    },
  }
}
