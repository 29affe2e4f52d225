import pLimit from 'p-limit'

export type ProgramPlaces = {
  /** Does the work when a place is free, first come, first served; throws the signal's reason when it aborts before. */
  run<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T>
  /** So many programs at once from now on; those that run go on. */
  setPlaces(places: number): void
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
  const { onUnderWay, now = () => performance.now() } = options
  let { places } = options
  const limit = pLimit(places)
  let beside = 0

  function learn(tookMs: number): void {
    const allowed = tookMs <= BRIEF_MS ? BESIDE : 0
    if (allowed === beside) return
    beside = allowed
    onUnderWay(places + beside)
  }

  async function timed<T>(work: () => Promise<T>): Promise<T> {
    const startedAt = now()
    try {
      return await work()
    } finally {
      learn(now() - startedAt)
    }
  }

  return {
    setPlaces(next) {
      if (next === places) return
      places = next
      limit.concurrency = places
      onUnderWay(places + beside)
    },
    run: (work, signal) =>
      new Promise((resolve, reject) => {
        const giveUp = () => reject(signal.reason)
        if (signal.aborted) return giveUp()
        signal.addEventListener('abort', giveUp, { once: true })
        void limit(async () => {
          signal.removeEventListener('abort', giveUp)
          if (!signal.aborted) await timed(work).then(resolve, reject)
        })
      }),
  }
}
