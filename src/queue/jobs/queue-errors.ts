import { LoopfleetError } from '../../base/index.js'
import type { JobFailure } from './job-failure.js'

/** A job that was waited for has failed for good; carries what its handler threw. */
export class JobFailedError extends LoopfleetError {
  static {
    this.prototype.name = 'JobFailedError'
  }
  /** The code of the error the handler threw, such as `LF_TRAINER_EXITED`. */
  readonly reasonCode: string
  /** Its sentence. */
  readonly reason: string

  constructor(job: { readonly queue: string; readonly id: string }, cause: JobFailure) {
    super('LF_JOB_FAILED', `Job ${job.id} failed: ${cause.message}`, {
      details: { queue: job.queue, id: job.id, reason: cause },
      failure: cause.failure,
    })
    this.reasonCode = cause.code
    this.reason = cause.message
  }
}

/** Somebody removed a job while it was waited for. */
export class JobRemovedError extends LoopfleetError {
  static {
    this.prototype.name = 'JobRemovedError'
  }
  constructor(details: { readonly queue: string; readonly id: string }) {
    super('LF_JOB_REMOVED', `Job ${details.id} was removed from queue ${details.queue} before it was done.`, {
      details,
      failure: 'transient',
    })
  }
}

/** A job's data do not fit the schema of its queue: trying again cannot help. */
export class JobDataError extends LoopfleetError {
  static {
    this.prototype.name = 'JobDataError'
  }
  constructor(details: { readonly queue: string; readonly id: string; readonly problem: string }) {
    super('LF_JOB_DATA_INVALID', `Job ${details.id} in queue ${details.queue} has bad data: ${details.problem}.`, {
      details,
    })
  }
}
