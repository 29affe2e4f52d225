import { setTimeout as sleep } from 'node:timers/promises'
import type { Queue } from 'bullmq'
import type { JobEvents } from './job-events.js'
import { parseJobFailure } from './job-failure.js'
import { JobFailedError, JobRemovedError } from './queue-errors.js'

const LOOK_AGAIN_MS = 2_000

/**
 * Waits until a job is done and returns its value; throws LF_JOB_FAILED, LF_JOB_REMOVED or the signal's reason. Events
 * make it quick; looking again every two seconds makes it sure (events get lost, jobs get removed, Redis restarts).
 */
export async function waitForJob(
  queue: Queue,
  id: string,
  options: { readonly signal?: AbortSignal | undefined },
  changed: { readonly events: JobEvents; readonly begin: () => Promise<void> },
): Promise<unknown> {
  const { signal } = options
  signal?.throwIfAborted()
  let wake: () => void = () => undefined
  const stopListening = await abortable(
    changed.events.listen(queue.name, id, () => wake()),
    signal,
  )
  try {
    await abortable(changed.begin(), signal)
    for (;;) {
      const looking = new AbortController()
      const change = new Promise<void>((resolve) => {
        wake = resolve // before looking, so that nothing falls in between
      })
      const outcome = await abortable(lookAtJob(queue, id), signal)
      if (outcome !== undefined) return outcome.value
      try {
        await abortable(Promise.race([change, sleep(LOOK_AGAIN_MS, undefined, { signal: looking.signal })]), signal)
      } finally {
        looking.abort()
      }
    }
  } finally {
    stopListening()
  }
}

async function lookAtJob(queue: Queue, id: string): Promise<{ readonly value: unknown } | undefined> {
  const [job, state] = await Promise.all([queue.getJob(id), queue.getJobState(id)]) // one round trip, in this order
  if (job === undefined) throw new JobRemovedError({ queue: queue.name, id })
  if (job.finishedOn === undefined) return undefined
  switch (state) {
    case 'completed':
      return { value: job.returnvalue }
    case 'failed':
      throw new JobFailedError({ queue: queue.name, id }, parseJobFailure(job.failedReason))
    default:
      return undefined // retried in this moment
  }
}

async function abortable<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await work
  work.catch(() => undefined) // when the signal comes first nobody waits for its failure any more
  let onAbort: () => void = () => undefined
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort = () => reject(signal.reason)
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
  })
  try {
    return await Promise.race([work, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
