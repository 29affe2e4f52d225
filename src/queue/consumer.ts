import { type Job, UnrecoverableError, WaitingError, Worker } from 'bullmq'
import type { z } from 'zod'
import { retry } from '../base/back-off.js'
import { isUnclassified, messageOf } from '../base/errors.js'
import type { Logger } from '../base/logger.js'
import { closeOrLeave } from './close-or-leave.js'
import { type JobFailure, toJobFailure } from './job-failure.js'
import { type JobHandle, toHandle } from './job-handle.js'
import type { LocalEvents } from './local-events.js'
import type { RedisLink } from './open-redis.js'
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

// A job of a process that was killed is taken up again after both. A lock that runs out under a living process is no
// harm: the job is given out twice at most, and what comes of it is known here.
const LOCK_MS = 5_000
const STALLED_MS = 1_000
/** How many outcomes are kept that Redis has not taken. */
const KEPT_OUTCOMES = 100

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
  const running = new Set<Promise<unknown>>()
  const known = new Map<string, Work>()
  const finished: string[] = []
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
    known.delete(keyOf(job))
    local.tell(queue, job.id ?? '', result)
  })
  worker.on('failed', (job) => local.tell(queue, job?.id ?? ''))
  const stopTelling = local.open(queue)

  // What leaves it is a value, UnrecoverableError or WaitingError: BullMQ itself never delays a job, since a delayed one
  // is due by the clock of the host.
  async function work(job: Job, token?: string): Promise<unknown> {
    const own = known.get(keyOf(job)) ?? begin(job)
    try {
      return await own.outcome
    } catch (error) {
      if (ending.signal.aborted) return await handBack(job, token)
      const failure = failureOf(job, own, error)
      log.debug({ err: error, queue, jobId: job.id, failure: failure.failure }, 'job failed')
      throw withStackOf(error, new UnrecoverableError(JSON.stringify(failure)))
    }
  }

  // After an outage of Redis that is longer than its lock a job is given to us again, while its handler runs or when Redis
  // has missed its value. One that failed is tried again.
  function begin(job: Job): Work {
    const id = job.id ?? ''
    const key = keyOf(job)
    const own: Work = { outcome: Promise.resolve(), attempts: 0 }
    own.outcome = attempt(job, own)
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

  function attempt(job: Job, own: Work): Promise<unknown> {
    return retry(
      async (number) => {
        own.attempts = number
        return await handler(toHandle(queue, job, options.schema, deps), cancelled.signal)
      },
      {
        signal: ending.signal,
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

  // One that is not ours any more is given out again anyway.
  async function handBack(job: Job, token: string | undefined): Promise<never> {
    await job
      .moveToWait(token)
      .catch((error: unknown) => log.debug({ err: error, queue, jobId: job.id }, 'job not handed back'))
    throw new WaitingError()
  }

  async function close(): Promise<void> {
    await worker.pause(true)
    while (running.size > 0) await Promise.allSettled(running)
    await closeOrLeave(link, worker.close())
    stopTelling()
  }

  return {
    get running() {
      return running.size
    },
    close(closeOptions = {}) {
      ending.abort()
      if ('cancel' in closeOptions) cancelled.abort(closeOptions.cancel)
      closing ??= close()
      return closing
    },
  }
}

type Work = {
  /** What the last attempt answers or throws. */
  outcome: Promise<unknown>
  attempts: number
}

// A job that is added again under the id of an earlier one, as to a Redis that came back empty, is another one.
function keyOf(job: Job): string {
  return `${job.id}\n${job.timestamp}`
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
