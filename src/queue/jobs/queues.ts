import { Queue } from 'bullmq'
import { createClockWatch } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import { closeOrLeave, luaScript, type RedisLink } from '../redis/index.js'
import { levelOf, whileRefused } from '../redis-basics/index.js'
import { type ConsumeOptions, type Consumer, createConsumer, type JobHandler } from './consumer.js'
import { createJobEvents } from './job-events.js'
import { type JobState, type JobView, toJobView } from './job-view.js'
import { createLocalEvents } from './local-events.js'
import { type AddOptions, toJobsOptions } from './retry-rules.js'
import { waitForJob } from './run-job.js'
import { createStepQueue, type StepQueue } from './step-queue.js'

/** The queues of the fleet: the only door to BullMQ. */
export type Queues = {
  /** Adds a job; nothing happens when its id is there already. */
  add(queue: string, name: string, data: object, options: AddOptions): Promise<void>
  /**
   * Adds a job and returns its value when it is completed, also when that was before. Throws LF_JOB_FAILED,
   * LF_JOB_REMOVED, or the signal's reason; an abort leaves the job where it is.
   */
  runJob(
    queue: string,
    name: string,
    data: object,
    options: AddOptions & { readonly signal?: AbortSignal },
  ): Promise<unknown>
  /**
   * Adds a job every so often from now on, wherever it is asked for; a job that still waits is not added twice. What it
   * returns ends only that the schedule is written again here, after a restart of Redis or when the clock is set back.
   */
  repeat(queue: string, name: string, data: object, options: RepeatOptions): Promise<() => void>
  stopRepeating(queue: string, id: string): Promise<void>
  counts(queue: string): Promise<Record<string, number>>
  job(queue: string, id: string): Promise<JobView | undefined>
  /** Jobs by state, the newest of each first; `start` and `end` (inclusive) count within a state. */
  jobs(
    queue: string,
    states: readonly JobState[],
    range?: { readonly start?: number; readonly end?: number },
  ): Promise<readonly JobView[]>
  logs(queue: string, id: string): Promise<readonly string[]>
  /** Every queue that was ever used, sorted. */
  names(): Promise<readonly string[]>
  /**
   * Handles each job at least once: a failure that is worth it is tried again within the job; a job of a process that was
   * killed is taken up again within some seconds.
   */
  consume<T>(queue: string, handler: JobHandler<T>, options: ConsumeOptions<T>): Consumer
  /** A queue of this host for the steps of its records; the caller starts and stops it. */
  steps(queue: string): StepQueue
  /** Removes a queue with all of its jobs, locked or not, such as one of an older version. */
  destroy(queue: string): Promise<void>
  close(): Promise<void>
}

/** Many processes may ask for the same id; it repeats once for all of them. */
type RepeatOptions = Omit<AddOptions, 'lifo'> & { readonly everyMs: number }

/** KEYS the names of all queues. ARGV name. */
const LIST = luaScript("return redis.call('SADD', KEYS[1], ARGV[1])")

export function createQueues(link: RedisLink, deps: { readonly log: Logger }): Queues {
  const log = deps.log.child({ component: 'queue' })
  const local = createLocalEvents()
  const clock = createClockWatch()
  const events = createJobEvents(link, { local, log })
  const opened = new Map<string, Queue>()
  const consumers = new Set<Consumer>()
  const repeated = new Map<string, () => void>()
  const namesKey = `${link.prefix}:queues`

  function open(name: string): Queue {
    const existing = opened.get(name)
    if (existing !== undefined) return existing
    const skipMetasUpdate = link.access === 'read'
    const queue = new Queue(name, { connection: link.connection(), prefix: link.prefix, skipMetasUpdate })
    // Without a listener BullMQ prints every failed reconnect; the link logs outages once.
    queue.on('error', (error) => log.debug({ err: error, queue: name }, 'queue reports an error'))
    opened.set(name, queue)
    return queue
  }

  const registered = new Set<string>()
  // A Redis that came back may be empty: what it held for us is written again, the schedules below as well.
  const stopListening = link.onReconnect(() => {
    const names = [...registered]
    registered.clear()
    for (const name of names) registerSafely(name)
  })
  async function register(name: string): Promise<void> {
    if (registered.has(name)) return
    await LIST(link.client, [namesKey], [name])
    registered.add(name)
  }

  function registerSafely(name: string): void {
    register(name).catch((error: unknown) => log[levelOf(error)]({ err: error, queue: name }, 'queue is not listed'))
  }

  async function add(queue: string, name: string, data: object, options: AddOptions): Promise<void> {
    await Promise.all([register(queue), open(queue).add(name, data, toJobsOptions(options))])
  }

  // What was planned while the clock was ahead is planned again: the next turn is never further away than one turn.
  async function schedule(queue: string, name: string, data: object, options: RepeatOptions): Promise<void> {
    const { everyMs, ...others } = options
    const { jobId: _, lifo: _ahead, ...opts } = toJobsOptions(others)
    const planned = await open(queue).getJobScheduler(options.id)
    const isLate = planned?.next !== undefined && planned.next > Date.now() + everyMs
    if (isLate) await open(queue).removeJobScheduler(options.id)
    await open(queue).upsertJobScheduler(options.id, { every: everyMs }, { name, data, opts })
  }

  function forgetRepeat(queue: string, id: string): void {
    repeated.get(`${queue}\n${id}`)?.()
    repeated.delete(`${queue}\n${id}`)
  }

  return {
    add,
    runJob: (queue, name, data, options) => {
      const begin = () => add(queue, name, data, options)
      return waitForJob({ queue, id: options.id }, options, { link, events, begin })
    },
    async repeat(queue, name, data, options) {
      await register(queue)
      await schedule(queue, name, data, options)
      forgetRepeat(queue, options.id)
      const again = () => {
        whileRefused(() => schedule(queue, name, data, options)).catch((error: unknown) =>
          log[levelOf(error)]({ err: error, queue }, 'repeating job not scheduled again'),
        )
      }
      const stops = [clock.onSetBack(again), link.onReconnect(again)]
      const stopWatching = () => {
        for (const stop of stops) stop()
      }
      repeated.set(`${queue}\n${options.id}`, stopWatching)
      return stopWatching
    },
    async stopRepeating(queue, id) {
      forgetRepeat(queue, id)
      await open(queue).removeJobScheduler(id)
    },
    counts: (queue) => open(queue).getJobCounts(),
    async job(queue, id) {
      const job = await open(queue).getJob(id)
      return job === undefined ? undefined : toJobView(job, await job.getState())
    },
    async jobs(queue, states, range = {}) {
      const { start = 0, end = 99 } = range
      const perState = await Promise.all(
        states.map(async (state) => {
          const jobs = await open(queue).getJobs([state], start, end)
          return jobs.filter((job) => job !== undefined).map((job) => toJobView(job, state))
        }),
      )
      return perState.flat()
    },
    // A step logs the lines of a moment as one entry.
    logs: async (queue, id) => (await open(queue).getJobLogs(id)).logs.flatMap((entry) => entry.split('\n')),
    names: async () => (await link.client.smembers(namesKey)).sort(),
    consume(queue, handler, options) {
      registerSafely(queue)
      const consumer = createConsumer(queue, handler, options, { link, local, log })
      consumers.add(consumer)
      return consumer
    },
    steps: (name) => createStepQueue({ name }, { link, register, log }),
    async destroy(queue) {
      await open(queue).obliterate({ force: true })
      await link.client.srem(namesKey, queue)
      registered.delete(queue)
    },
    async close() {
      stopListening()
      for (const stop of repeated.values()) stop()
      await Promise.all([...consumers].map((consumer) => consumer.close()))
      await events.close()
      await Promise.all([...opened.values()].map((queue) => closeOrLeave(link, queue.close())))
    },
  }
}
