import { setTimeout as sleep } from 'node:timers/promises'
import { type Job, UnrecoverableError, WaitingError, Worker } from 'bullmq'
import type { z } from 'zod'
import { RunSupersededError, WorkerShutdownError } from '../base/abort-reasons.js'
import { UNCLASSIFIED_ATTEMPTS } from '../base/back-off.js'
import type { ClockWatch } from '../base/clock-watch.js'
import { isUnclassified, LoopfleetError } from '../base/errors.js'
import type { Logger } from '../base/logger.js'
import { closeOrLeave } from './close-or-leave.js'
import { countFailure, takeBackJob } from './held-jobs.js'
import { type JobFailure, toJobFailure } from './job-failure.js'
import { type JobHandle, toHandle } from './job-handle.js'
import { promoteLateRetries } from './late-retries.js'
import type { LocalEvents } from './local-events.js'
import type { RedisLink } from './open-redis.js'
import { HandBackError, LockLostError } from './queue-errors.js'
import { programAttemptsOf, retryDelayMs } from './retry-rules.js'
import { releaseUndelivered } from './undelivered-jobs.js'

export type JobHandler<T> = (job: JobHandle<T>, signal: AbortSignal) => Promise<unknown>

export type ConsumeOptions<T> = {
  readonly schema: z.ZodType<T>
  readonly concurrency?: number
  /** A job is given to another worker when its holder has not renewed its lock for so long. */
  readonly lockMs?: number
  /** How often to look for such jobs. */
  readonly stalledMs?: number
  /**
   * Asked when the lock is lost and another worker has had the job since: whether that one has begun the work, so that
   * ours must end. Without it, having had the job is enough.
   */
  readonly isTakenOver?: (data: T) => Promise<boolean>
}

export type Consumer = {
  /** How many handlers run now. */
  readonly running: number
  /** Takes no more jobs; running handlers go on. */
  pause(): Promise<void>
  resume(): Promise<void>
  /** How many handlers may run from now on; what runs already goes on. */
  setConcurrency(most: number): void
  /** Waits for running handlers, after aborting them with the reason when one is given, and lets go of Redis. */
  close(options?: { readonly cancel?: unknown }): Promise<void>
}

export type ConsumerDeps = {
  readonly link: RedisLink
  readonly local: LocalEvents
  readonly clock: ClockWatch
  readonly log: Logger
}

const HAND_BACK_PAUSE_MS = 200

/** Works on a queue's jobs: see `Queues.consume`. */
export function createConsumer<T>(
  queue: string,
  handler: JobHandler<T>,
  options: ConsumeOptions<T>,
  deps: ConsumerDeps,
): Consumer {
  const { link, local, log } = deps
  const lockMs = options.lockMs ?? 30_000
  const running = new Map<string, RunningJob>()
  let isPaused = false
  let cancel: { readonly reason: unknown } | undefined
  let closing: Promise<void> | undefined

  // BullMQ passes a signal only to processors that declare three parameters.
  const worker = new Worker(queue, async (job: Job, token?: string, signal?: AbortSignal) => work(job, token, signal), {
    connection: link.connection(),
    prefix: link.prefix,
    concurrency: options.concurrency ?? 1,
    lockDuration: lockMs,
    stalledInterval: options.stalledMs ?? 2_000,
    maxStalledCount: 1_000_000_000, // counts a lifetime, hand-overs included; the journal limits runs instead
    runRetryDelay: 1_000,
    settings: { backoffStrategy: retryDelayMs },
  })
  const tokenStart = `${worker.id}:`
  worker.on('error', (error) => log.debug({ err: error, queue }, 'worker of a queue reports an error'))
  // Told when Redis has it.
  worker.on('completed', (job, result: unknown) => local.tell(queue, job.id ?? '', result))
  worker.on('failed', (job) => local.tell(queue, job?.id ?? ''))
  const stopTelling = local.open(queue)
  worker.on('lockRenewalFailed', (ids) => {
    for (const id of ids) void keepOrCancel(id)
  })
  // Sooner than others find out that its locks have run out meanwhile.
  const stopListening = link.onReconnect(() => {
    for (const id of running.keys()) void keepOrCancel(id)
  })

  const stopLooking = releaseUndelivered({ queue, tokenStart, isRunning: (id) => running.has(id) }, deps)
  const stopPromoting = promoteLateRetries(worker, deps)

  async function work(job: Job, token: string | undefined, signal: AbortSignal | undefined): Promise<unknown> {
    const id = job.id ?? ''
    const earlier = running.get(id)
    if (earlier !== undefined) return await adopt(earlier, job, token)
    // A worker that was waiting for a job when it was paused still takes that one.
    if (isPaused) return await handBack(job, token)

    const abort = new AbortController()
    signal?.addEventListener('abort', () => abort.abort(signal.reason), { once: true })
    let settle: () => void = () => undefined
    const settled = new Promise<void>((resolve) => (settle = resolve))
    const outcome = handle(job, abort)
    const own: RunningJob = {
      abort,
      token,
      begun: job.attemptsStarted,
      settled,
      outcome,
      isAdopted: false,
      isMissing: false,
      job,
    }
    running.set(id, own)
    local.began(queue, id, outcome)
    try {
      return await outcome
    } catch (error) {
      if (own.isAdopted) throw error // settled by whoever has the lock now
      return await settleFailure(job, token, error)
    } finally {
      running.delete(id)
      local.ended(queue, id)
      settle()
    }
  }

  async function handle(job: Job, abort: AbortController): Promise<unknown> {
    if (cancel !== undefined) abort.abort(cancel.reason)
    try {
      abort.signal.throwIfAborted()
      return await handler(toHandle(queue, job, options.schema, deps), abort.signal)
    } catch (thrown) {
      throw causeOf(thrown, abort.signal)
    }
  }

  // Our own job came back after its lock had run out (Redis was away for longer): what runs goes on, under the new lock.
  async function adopt(earlier: RunningJob, job: Job, token: string | undefined): Promise<unknown> {
    if (earlier.abort.signal.aborted) {
      await earlier.settled
      return await handBack(job, token)
    }
    log.info({ queue, jobId: job.id }, 'own job received again; its run continues')
    Object.assign(earlier, { isAdopted: true, token, begun: job.attemptsStarted })
    try {
      return await earlier.outcome
    } catch (error) {
      // What ran was fenced off while the job was ours again: it begins anew instead of failing for good.
      const isCutOff = error instanceof LockLostError || error instanceof RunSupersededError
      return isCutOff ? await handBack(job, token) : await settleFailure(job, token, error)
    }
  }

  // A lock that is lost, or a job that Redis does not know any more, ends nothing: only another one that has begun does.
  async function keepOrCancel(id: string): Promise<void> {
    const own = running.get(id)
    if (own === undefined) return
    try {
      if (await isOurs(id, own)) return
    } catch {
      return // Redis is away again; the next renewal finds out
    }
    log.warn({ queue, jobId: id }, 'another worker has begun the job; it is cancelled here')
    own.abort.abort(new LockLostError({ queue, id }))
  }

  async function isOurs(id: string, own: RunningJob): Promise<boolean> {
    const { token = '' } = own
    const back = await takeBackJob(link, queue, { id, token, begun: own.begun, tokenStart }, lockMs)
    if (back.outcome === 'held') {
      own.isMissing = false
      return true
    }
    if (await options.isTakenOver?.(dataOf(own.job))) return false
    if (back.outcome === 'missing') {
      if (!own.isMissing) log.error({ queue, jobId: id }, 'job missing in Redis; its run continues')
      own.isMissing = true
      return true
    }
    if (options.isTakenOver === undefined) return false
    // Given back by the other one before it began: ours again, if it still waits.
    const again = await takeBackJob(link, queue, { id, token, begun: back.begun, tokenStart }, lockMs)
    if (again.outcome === 'held') own.begun = back.begun
    return true
  }

  function dataOf(job: Job): T {
    return toHandle(queue, job, options.schema, deps).data
  }

  async function settleFailure(job: Job, token: string | undefined, error: unknown): Promise<never> {
    if (error instanceof HandBackError || error instanceof WorkerShutdownError) return await handBack(job, token)
    const failure = toJobFailure(error)
    const reason = JSON.stringify(failure)
    log.debug({ err: error, queue, jobId: job.id, failure: failure.failure }, 'job failed')
    if (failure.failure === 'fatal' || (failure.failure === 'program' && (await isGivenUp(job)))) {
      throw withStackOf(error, new UnrecoverableError(reason))
    }
    if (failure.failure === 'transient' && isUnclassified(error)) await giveUpUnclassified(job, failure, error)
    throw withStackOf(error, new Error(reason))
  }

  async function giveUpUnclassified(job: Job, failure: JobFailure, error: unknown): Promise<void> {
    const count = await countFailure(link, { queue, id: job.id ?? '' }, 'unclassified')
    if (count < UNCLASSIFIED_ATTEMPTS) return
    const message = `${failure.message} (given up after ${count} attempts)`
    const reason: JobFailure = { ...failure, failure: 'fatal', message }
    throw withStackOf(error, new UnrecoverableError(JSON.stringify(reason)))
  }

  // The worker would take the job again in the same breath; a pause leaves it to others first.
  async function handBack(job: Job, token: string | undefined): Promise<never> {
    await job.moveToWait(token)
    if (!isPaused) await sleep(HAND_BACK_PAUSE_MS)
    throw new WaitingError()
  }

  async function isGivenUp(job: Job): Promise<boolean> {
    return (await countFailure(link, { queue, id: job.id ?? '' }, 'program')) >= programAttemptsOf(job)
  }

  async function close(): Promise<void> {
    isPaused = true
    stopLooking()
    stopPromoting()
    stopListening()
    await worker.pause(true)
    while (running.size > 0) await Promise.all([...running.values()].map(({ settled }) => settled))
    await closeOrLeave(link, worker.close())
    stopTelling()
  }

  return {
    get running() {
      return running.size
    },
    async pause() {
      isPaused = true
      await worker.pause(true)
    },
    async resume() {
      isPaused = false
      await worker.resume()
    },
    setConcurrency(most) {
      worker.concurrency = most
    },
    close(closeOptions = {}) {
      if ('cancel' in closeOptions) {
        cancel ??= { reason: closeOptions.cancel }
        for (const { abort } of running.values()) abort.abort(closeOptions.cancel)
      }
      closing ??= close()
      return closing
    },
  }
}

type RunningJob = {
  readonly abort: AbortController
  readonly settled: Promise<void>
  /** What the handler answers or throws. */
  readonly outcome: Promise<unknown>
  /** Of the lock under which it runs, and the how-many-th start of the job that is. */
  token: string | undefined
  begun: number
  isAdopted: boolean
  /** Redis does not know it any more. */
  isMissing: boolean
  readonly job: Job
}

// What breaks inside a handler when its signal aborts (a socket, a timer) is told as the abort.
function causeOf(thrown: unknown, signal: AbortSignal): unknown {
  if (!signal.aborted || thrown instanceof LoopfleetError) return thrown
  return signal.reason instanceof LoopfleetError ? signal.reason : thrown
}

function withStackOf(cause: unknown, error: Error): Error {
  if (cause instanceof Error && cause.stack !== undefined) error.stack = cause.stack
  return error
}
