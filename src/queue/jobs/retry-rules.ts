import type { BackoffOptions, JobsOptions } from 'bullmq'
import type { BackOffOptions } from '../../base/index.js'

/** How a job is tried again; what a failure is, its error says (`failure`). */
type RetryOptions = {
  /** In all, whatever the failures are; practically unlimited by default, for an outage of the network may be long. */
  readonly attempts?: number
  readonly backOff?: { readonly firstMs?: number; readonly maxMs?: number }
}

export type AddOptions = RetryOptions & {
  /** An id that is there already adds nothing, whatever state that job is in. */
  readonly id: string
  /** Ahead of what waits already. */
  readonly lifo?: boolean
  /** How many ended jobs of each kind are kept, where adding one twice does no harm. */
  readonly keep?: number
}

const MANY_ATTEMPTS = 1_000_000
const KEPT = 1_000
const KEPT_LOGS = 500
const BY_CLASS = 'by-class'

/** The same in BullMQ's words; finished jobs are kept, since only a kept id makes adding twice harmless. */
export function toJobsOptions(options: AddOptions): JobsOptions {
  const backoff: BackoffOptions & StoredRules = {
    type: BY_CLASS,
    delay: options.backOff?.firstMs,
    maxMs: options.backOff?.maxMs,
  }
  return {
    jobId: options.id,
    attempts: options.attempts ?? MANY_ATTEMPTS,
    backoff,
    lifo: options.lifo ?? false,
    removeOnComplete: { count: options.keep ?? KEPT },
    removeOnFail: { count: options.keep ?? KEPT },
    keepLogs: KEPT_LOGS,
  }
}

/** How often the handler of a job is called at most. */
export function attemptsOf(job: { readonly opts: JobsOptions }): number {
  return job.opts.attempts ?? MANY_ATTEMPTS
}

/** The pauses between the attempts. */
export function backOffOf(job: { readonly opts: JobsOptions }): BackOffOptions {
  const { delay: firstMs, maxMs } = storedRules(job)
  return {
    ...(firstMs === undefined ? {} : { firstMs }),
    ...(maxMs === undefined ? {} : { maxMs }),
  }
}

type StoredRules = {
  readonly delay?: number | undefined
  readonly maxMs?: number | undefined
}

// They travel in the job itself, so that whatever worker takes it keeps to them.
function storedRules(job: { readonly opts: JobsOptions }): StoredRules {
  const backoff = job.opts.backoff
  return typeof backoff === 'object' ? backoff : {}
}
