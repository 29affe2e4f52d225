import { type Job, Queue, UnrecoverableError, Worker } from 'bullmq'
import { type Closers, createService, type Service } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import { closeOrLeave, type RedisLink, untilAborted } from '../redis/index.js'
import { levelOf, whileRefused } from '../redis-basics/index.js'
import { toJobFailure } from './job-failure.js'

/**
 * A step of a run: its id is `<id>.<run>.<step>.<born>`, so that adding it twice is adding it once. A record that Redis has
 * lost and that was made again begins at its first run, but was born later, so that its steps have other ids. One that a run does
 * a second time has its number behind that.
 */
type Step = {
  readonly id: string
  readonly born: string
  readonly run: number
  readonly step: string
  /** From 1; how often its run has begun it. */
  readonly time?: number
}

/** What a step shows of itself in BullMQ. Neither throws: what cannot be shown is no reason to end the work. */
export type StepHandle = {
  updateProgress(progress: object): Promise<void>
  log(...lines: readonly string[]): Promise<void>
}

/**
 * A queue of one host for the steps of its records. The record says whether the host has it, so a step needs no lock that
 * expires and no stalled check; what a step answers never depends on what Redis still knows of its job.
 */
export type StepQueue = Service & {
  /**
   * Adds the step and does its work as soon as the queue takes it. An abort before that throws the signal's reason; the
   * work itself has to follow the signal.
   */
  run<T>(step: Step, work: (handle: StepHandle) => Promise<T>, options: { readonly signal: AbortSignal }): Promise<T>
}

export type StepQueueOptions = {
  readonly name: string
  /** More than any pipeline runs at the same time: the claims of the engine decide how many. */
  readonly concurrency?: number
}

export type StepQueueDeps = {
  readonly link: RedisLink
  /** Lists the queue among those of the fleet. */
  readonly register: (name: string) => Promise<void>
  readonly log: Logger
}

const DAY_MS = 86_400_000
/** A quarter of it is a timer, and those of Node overflow at 24.8 days. */
const LOCK_MS = 30 * DAY_MS
const KEPT = { attempts: 1, removeOnComplete: { count: 1_000 }, removeOnFail: { count: 1_000 }, keepLogs: 500 } as const
const MAX_LINE = 1_000

type Pending = {
  readonly add: () => Promise<void>
  readonly begin: (handle: StepHandle) => void
  readonly outcome: Promise<unknown>
  hasBegun: boolean
}

/** The caller holds the lock of the host's data folder: the queue is emptied when it starts. */
export function createStepQueue(options: StepQueueOptions, deps: StepQueueDeps): StepQueue {
  const { name, concurrency = 1_000 } = options
  const { link, log } = deps
  const pending = new Map<string, Pending>()
  let queue: Queue | undefined

  async function open(signal: AbortSignal, closers: Closers): Promise<void> {
    const opened = new Queue(name, { connection: link.connection(), prefix: link.prefix })
    opened.on('error', (error) => log.debug({ err: error, queue: name }, 'queue reports an error'))
    closers.add('queue', () => closeOrLeave(link, opened.close()))
    await untilAborted(Promise.all([deps.register(name), opened.obliterate({ force: true })]), signal)
    const worker = new Worker(name, work, {
      ...{ connection: link.connection(), prefix: link.prefix, concurrency },
      ...{ lockDuration: LOCK_MS, skipStalledCheck: true, runRetryDelay: 1_000 },
    })
    worker.on('error', (error) => log.debug({ err: error, queue: name }, 'worker of a queue reports an error'))
    closers.add('worker', () => closeOrLeave(link, worker.close()))
    closers.add('reconnect', link.onReconnect(addAgain))
    queue = opened
  }

  // Redis may have lost what it had not given out yet.
  function addAgain(): void {
    for (const each of pending.values()) {
      if (each.hasBegun) continue
      whileRefused(each.add).catch((error: unknown) =>
        log[levelOf(error)]({ err: error, queue: name }, 'step not added'),
      )
    }
  }

  async function work(job: Job): Promise<unknown> {
    const id = job.id ?? ''
    const step = pending.get(id)
    if (step === undefined || step.hasBegun) return { skipped: 'its run has ended' }
    step.hasBegun = true
    step.begin(toHandle(job))
    try {
      await step.outcome // the record keeps what comes of it
      return undefined
    } catch (error) {
      throw withStackOf(error, new UnrecoverableError(JSON.stringify(toJobFailure(error))))
    }
  }

  function toHandle(job: Job): StepHandle {
    const ignore = (error: unknown) => log.debug({ err: error, jobId: job.id }, 'progress of a step was not kept')
    return {
      updateProgress: (progress) => job.updateProgress(progress).catch(ignore),
      async log(...lines) {
        await job.log(lines.map(shorten).join('\n')).catch(ignore)
      },
    }
  }

  async function run<T>(
    { id, born, run: number, step, time = 1 }: Step,
    doWork: (handle: StepHandle) => Promise<T>,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<T> {
    const jobId = `${id}.${number}.${step}.${born}${time === 1 ? '' : `.${time}`}`
    const add = async () => {
      signal.throwIfAborted()
      if (queue === undefined) throw new Error(`The steps in ${name} are not started.`)
      await queue.add(step, { id, run: number, step }, { jobId, ...KEPT })
    }
    let begin: Pending['begin'] = () => undefined
    const begun = new Promise<StepHandle>((resolve) => (begin = resolve))
    const outcome = begun.then(doWork)
    outcome.catch(() => undefined) // waited for below
    const own: Pending = { add, begin, outcome, hasBegun: false }
    pending.set(jobId, own)
    try {
      const isAdded = add().then(() => begun)
      await untilAborted(Promise.race([begun, isAdded]), signal).catch((error: unknown) => {
        if (!own.hasBegun) throw error
      })
      return await outcome
    } finally {
      pending.delete(jobId)
    }
  }

  const { start, stop, [Symbol.asyncDispose]: dispose } = createService(`steps in ${name}`, open, { log })
  return { start, stop, [Symbol.asyncDispose]: dispose, run }
}

function shorten(line: string): string {
  return line.length > MAX_LINE ? `${line.slice(0, MAX_LINE)} …` : line
}

function withStackOf(cause: unknown, error: Error): Error {
  if (cause instanceof Error && cause.stack !== undefined) error.stack = cause.stack
  return error
}
