import type { BackoffOptions, JobsOptions } from 'bullmq'
import { backOffMs } from '../base/back-off.js'

/** How a job is tried again; what a failure is, its error says (`failure`). */
export type RetryOptions = {
  /** In all, whatever the failures are; practically unlimited by default, for an outage of the network may be long. */
  readonly attempts?: number
  /** Failures of an external program; after so many the job fails. */
  readonly programAttempts?: number
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
const PROGRAM_ATTEMPTS = 3
const KEPT = 1_000
const BY_CLASS = 'by-class'

/** The same in BullMQ's words; finished jobs are kept, since only a kept id makes adding twice harmless. */
export function toJobsOptions(options: AddOptions): JobsOptions {
  const backoff: BackoffOptions & StoredRules = {
    type: BY_CLASS,
    delay: options.backOff?.firstMs,
    maxMs: options.backOff?.maxMs,
    programAttempts: options.programAttempts,
  }
  return {
    jobId: options.id,
    attempts: options.attempts ?? MANY_ATTEMPTS,
    backoff,
    lifo: options.lifo ?? false,
    removeOnComplete: { count: options.keep ?? KEPT },
    removeOnFail: { count: options.keep ?? KEPT },
  }
}

/** After how many failures of its program the job is given up. */
export function programAttemptsOf(job: { readonly opts: JobsOptions }): number {
  return storedRules(job).programAttempts ?? PROGRAM_ATTEMPTS
}

/** The back-off strategy of every worker: exponential with jitter, up to five minutes. */
export function retryDelayMs(
  attemptsMade: number,
  _type?: string,
  _error?: Error,
  job?: { readonly opts: JobsOptions },
) {
  const { delay: firstMs, maxMs } = job === undefined ? {} : storedRules(job)
  return backOffMs(attemptsMade, {
    ...(firstMs === undefined ? {} : { firstMs }),
    ...(maxMs === undefined ? {} : { maxMs }),
  })
}

type StoredRules = {
  readonly delay?: number | undefined
  readonly maxMs?: number | undefined
  readonly programAttempts?: number | undefined
}

// They travel in the job itself, so that whatever worker takes it keeps to them.
function storedRules(job: { readonly opts: JobsOptions }): StoredRules {
  const backoff = job.opts.backoff
  return typeof backoff === 'object' ? backoff : {}
}
