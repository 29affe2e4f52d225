import type { Job } from 'bullmq'
import { type JobFailure, parseJobFailure } from './job-failure.js'

export type JobState = 'waiting' | 'active' | 'delayed' | 'completed' | 'failed'

/** A job as dashboard, CLI and tests look at it. */
export type JobView = {
  readonly id: string
  readonly name: string
  readonly state: string
  readonly data: unknown
  readonly progress: unknown
  readonly attemptsMade: number
  readonly attemptsStarted: number
  readonly createdAt: number
  readonly startedAt: number | null
  readonly endedAt: number | null
  readonly failure: JobFailure | null
  readonly result: unknown
}

/** The view of a BullMQ job in a state that is known already. */
export function toJobView(job: Job, state: string): JobView {
  return {
    id: job.id ?? '',
    name: job.name,
    state,
    data: job.data,
    progress: job.progress,
    attemptsMade: job.attemptsMade,
    attemptsStarted: job.attemptsStarted,
    createdAt: job.timestamp,
    startedAt: job.processedOn ?? null,
    endedAt: job.finishedOn ?? null,
    failure: job.failedReason ? parseJobFailure(job.failedReason) : null,
    result: job.returnvalue ?? null,
  }
}
