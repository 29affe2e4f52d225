import pLimit from 'p-limit'

export type ProgramPlaces = {
  /** Runs the work when a place is free, in order of the calls; throws the signal's reason if it aborts before. */
  run<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T>
  /** Sets the number of places; running programs continue. */
  setPlaces(places: number): void
}

export type ProgramPlacesOptions = {
  /** Programs at the same time. */
  readonly places: number
  /** Called when the most conversions change that may be active, with and without a place. */
  readonly onMaxActive: (most: number) => void
  /** Milliseconds of a clock that never goes back. */
  readonly now?: () => number
}

/** Models beside those in a program: one that is downloaded and one that is uploaded. */
const BESIDE = 2
/** A conversion waits here for a place only if programs are this brief; otherwise another host could work on it meanwhile. */
const BRIEF_MS = 30_000

/**
 * Places for the programs of conversions. While programs are brief, further models are downloaded and uploaded beside them;
 * none before the first program of a worker has ended.
 */
export function createProgramPlaces(options: ProgramPlacesOptions): ProgramPlaces {
  const { onMaxActive, now = () => performance.now() } = options
  let { places } = options
  const limit = pLimit(places)
  let beside = 0

  function learn(tookMs: number): void {
    const allowed = tookMs <= BRIEF_MS ? BESIDE : 0
    if (allowed === beside) return
    beside = allowed
    onMaxActive(places + beside)
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
      onMaxActive(places + beside)
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
