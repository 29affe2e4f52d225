import type { Job } from 'bullmq'
import type { LocalEvents } from './local-events.js'

export type Work = {
  /** What the last attempt answers or throws. */
  outcome: Promise<unknown>
  attempts: number
}

export type Works = {
  /** Those whose handlers have not ended. */
  readonly running: ReadonlySet<Promise<unknown>>
  /** Begins the work of a job, unless it is known. */
  take(job: Job): Work
  /** Redis has its outcome. */
  forget(job: Job): void
}

/** How many outcomes are kept that Redis has not taken. */
const KEPT_OUTCOMES = 100

/**
 * After an outage of Redis that is longer than its lock a job is given to us again, while its handler runs or when Redis
 * has missed its value: both is known here. One that failed is tried again.
 */
export function createWorks(
  begin: (job: Job, own: Work) => Promise<unknown>,
  { queue, local }: { readonly queue: string; readonly local: LocalEvents },
): Works {
  const running = new Set<Promise<unknown>>()
  const known = new Map<string, Work>()
  const finished: string[] = []

  function start(job: Job, key: string): Work {
    const id = job.id ?? ''
    const own: Work = { outcome: Promise.resolve(), attempts: 0 }
    own.outcome = begin(job, own)
    known.set(key, own)
    running.add(own.outcome)
    local.began(queue, id, own.outcome)
    const end = () => {
      running.delete(own.outcome)
      local.ended(queue, id)
    }
    own.outcome.then(
      () => {
        finished.push(key)
        if (finished.length > KEPT_OUTCOMES) known.delete(finished.shift() ?? '')
        end()
      },
      () => {
        known.delete(key)
        end()
      },
    )
    return own
  }

  return {
    running,
    take: (job) => known.get(keyOf(job)) ?? start(job, keyOf(job)),
    forget: (job) => void known.delete(keyOf(job)),
  }
}

// A job that is added again under the id of an earlier one, as to a Redis that came back empty, is another one.
function keyOf(job: Job): string {
  return `${job.id}\n${job.timestamp}`
}
