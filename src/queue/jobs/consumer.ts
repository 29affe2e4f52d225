import { type Job, UnrecoverableError, WaitingError, Worker } from 'bullmq'
import type { z } from 'zod'
import { isUnclassified, messageOf, retry } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import { closeOrLeave, type RedisLink } from '../redis/index.js'
import { type JobFailure, toJobFailure } from './job-failure.js'
import { type JobHandle, toHandle } from './job-handle.js'
import { createWorks, type Work } from './job-works.js'
import type { LocalEvents } from './local-events.js'
import { attemptsOf, backOffOf } from './retry-rules.js'

export type JobHandler<T> = (job: JobHandle<T>, signal: AbortSignal) => Promise<unknown>

export type ConsumeOptions<T> = {
  readonly schema: z.ZodType<T>
  readonly concurrency?: number
}

export type Consumer = {
  /** How many jobs are handled now, those that wait for another attempt included. */
  readonly running: number
  /**
   * Waits for running handlers, after aborting them with the reason when one is given, and lets go of Redis. A job that
   * waits for another attempt, or whose handler fails from now on, goes back to the queue.
   */
  close(options?: { readonly cancel?: unknown }): Promise<void>
}

export type ConsumerDeps = {
  readonly link: RedisLink
  readonly local: LocalEvents
  readonly log: Logger
}

// A job of a process that was killed is taken up again after both. When the lock of a living process runs out, another
// process may handle the job a second time, which points of metrics and scans allow.
const LOCK_MS = 5_000
const STALLED_MS = 1_000

/** Works on a queue's jobs, each at least once: see `Queues.consume`. */
export function createConsumer<T>(
  queue: string,
  handler: JobHandler<T>,
  options: ConsumeOptions<T>,
  deps: ConsumerDeps,
): Consumer {
  const { link, local, log } = deps
  const cancelled = new AbortController()
  const ending = new AbortController()
  const { schema } = options
  const attempts = { queue, handler, schema, ending: ending.signal, cancelled: cancelled.signal }
  const works = createWorks((job, own) => attempt(job, own, attempts, deps), { queue, local })
  let closing: Promise<void> | undefined

  const worker = new Worker(queue, work, {
    connection: link.connection(),
    prefix: link.prefix,
    concurrency: options.concurrency ?? 1,
    lockDuration: LOCK_MS,
    stalledInterval: STALLED_MS,
    maxStalledCount: 1_000_000_000, // an outage of Redis is no fault of the job
    runRetryDelay: 1_000,
  })
  worker.on('error', (error) => log.debug({ err: error, queue }, 'worker of a queue reports an error'))
  // Emitted when Redis has it.
  worker.on('completed', (job, result: unknown) => {
    works.forget(job)
    local.tell(queue, job.id ?? '', result)
  })
  worker.on('failed', (job) => local.tell(queue, job?.id ?? ''))
  const stopTelling = local.open(queue)

  // What leaves it is a value, UnrecoverableError or WaitingError: BullMQ itself never delays a job, since a delayed one
  // is due by the clock of the host.
  async function work(job: Job, token?: string): Promise<unknown> {
    const own = works.take(job)
    try {
      return await own.outcome
    } catch (error) {
      if (ending.signal.aborted) return await handBack(job, token)
      const failure = failureOf(job, own, error)
      log.debug({ err: error, queue, jobId: job.id, failure: failure.failure }, 'job failed')
      throw withStackOf(error, new UnrecoverableError(JSON.stringify(failure)))
    }
  }

  // One that is not ours any more is given out again anyway.
  async function handBack(job: Job, token: string | undefined): Promise<never> {
    await job
      .moveToWait(token)
      .catch((error: unknown) => log.debug({ err: error, queue, jobId: job.id }, 'job not handed back'))
    throw new WaitingError()
  }

  async function close(): Promise<void> {
    await worker.pause(true)
    while (works.running.size > 0) await Promise.allSettled(works.running)
    await closeOrLeave(link, worker.close())
    stopTelling()
  }

  return {
    get running() {
      return works.running.size
    },
    close(closeOptions = {}) {
      ending.abort()
      if ('cancel' in closeOptions) cancelled.abort(closeOptions.cancel)
      closing ??= close()
      return closing
    },
  }
}

type Attempts<T> = {
  readonly queue: string
  readonly handler: JobHandler<T>
  readonly schema: z.ZodType<T>
  readonly ending: AbortSignal
  readonly cancelled: AbortSignal
}

function attempt<T>(job: Job, own: Work, options: Attempts<T>, { log }: Pick<ConsumerDeps, 'log'>): Promise<unknown> {
  const { queue, handler, schema, ending, cancelled } = options
  return retry(
    async (number) => {
      own.attempts = number
      return await handler(toHandle(queue, job, schema, { log }), cancelled)
    },
    {
      signal: ending,
      attempts: attemptsOf(job),
      backOff: backOffOf(job),
      onRetry({ error, attempt: number, waitMs }) {
        log.debug({ err: error, queue, jobId: job.id, attempt: number, waitMs }, 'job is tried again')
        const line = `attempt ${number} failed: ${messageOf(error)}; the next one in ${Math.ceil(waitMs / 1000)} s`
        job.log(line).catch((notKept: unknown) => log.debug({ err: notKept, queue }, 'log of a job was not kept'))
      },
    },
  )
}

function failureOf(job: Job, { attempts }: Work, error: unknown): JobFailure {
  const failure = toJobFailure(error)
  if (!isUnclassified(error) || attempts >= attemptsOf(job)) return failure
  return { ...failure, failure: 'fatal', message: `${failure.message} (given up after ${attempts} attempts)` }
}

function withStackOf(cause: unknown, error: Error): Error {
  if (cause instanceof Error && cause.stack !== undefined) error.stack = cause.stack
  return error
}
