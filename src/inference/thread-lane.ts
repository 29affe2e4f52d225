import { setTimeout as sleep } from 'node:timers/promises'
import type { Piscina } from 'piscina'
import type { Logger } from '../base/logger.js'
import { InferenceError } from './errors.js'
import { type RunLimits, runGuarded } from './guarded-run.js'
import type { OwnedImage } from './image-source.js'
import type { Lane, LaneRun, LaneStart } from './lane.js'
import { leaveThread } from './lost-threads.js'
import { begunImages, condemnNow, type NativeGuard } from './native-guard.js'
import { fromThreadError } from './thread-error.js'
import type { ThreadAnswer, ThreadSettings, ThreadTask } from './thread-messages.js'

export type ThreadLaneOptions = {
  readonly settings: ThreadSettings
  readonly timeoutMs: number
  readonly loadMs: number
  /** For the first image, with which a model is tried, once it is loaded. */
  readonly warmUpMs: number
  /** The thread dies when its heap grows beyond. */
  readonly maxHeapMb: number | undefined
}

export type ThreadLaneDeps = {
  readonly log: Logger
  /** The module that runs in the thread, for tests that need one that breaks. */
  readonly threadFile?: URL
}

/** How long a late thread inside ONNX Runtime is waited for before another one takes its place. */
const LATE_MS = 1000
const CLOSE_MS = 2000
/** How long a lane that is closed waits for such a thread before it leaves it to itself. */
const LOST_MS = 2000
/** Of V8's young generation in a thread, where next to nothing grows old; by default it takes 48. */
const YOUNG_MB = 6

/** Opens a lane with a thread of its own; a piscina of one, so that it is known which thread runs what. */
export async function openThreadLane(options: ThreadLaneOptions, deps: ThreadLaneDeps): Promise<Lane> {
  const { Piscina } = await import('piscina')
  return new ThreadLane(options, () => startThread(Piscina, options, deps))
}

class ThreadLane implements Lane {
  readonly takesBundles = true
  readonly #options: ThreadLaneOptions
  readonly #startThread: () => Piscina
  /** Of all runs that are not over, those of a thread that was left behind included. */
  readonly #guards = new Map<NativeGuard, Promise<void>>()
  #piscina: Piscina
  #guard: NativeGuard | undefined
  /** The last run is over: its thread is free or gone. */
  #over: Promise<void> = Promise.resolve()
  #isOver = true
  /** The thread that could not be ended, until it is. */
  #left: Promise<void> | undefined
  #isClosed = false

  constructor(options: ThreadLaneOptions, startThread: () => Piscina) {
    this.#options = options
    this.#startThread = startThread
    this.#piscina = startThread()
  }

  async start(): Promise<LaneStart> {
    await this.#leaveLate()
    if (this.#isClosed) throw new InferenceError('LF_INFERENCE_CLOSED', 'The inference pool is closed.')
    const { loadMs, warmUpMs } = this.#options
    const task = { kind: 'start', images: [], atOnce: 1 } as const
    const started = this.#run(task, { timeoutMs: warmUpMs, loadMs }).catch((error: unknown) => {
      throw isTimeout(error) ? slowError({ loadMs, warmUpMs }, error) : error
    })
    const { threadId, maxImages, wantsBatches, warnings } = await started
    return { threadId, maxImages, wantsBatches, warnings }
  }

  get begun(): number {
    return this.#guard === undefined ? 0 : begunImages(this.#guard)
  }

  async run(images: readonly OwnedImage[], atOnce: number): Promise<LaneRun> {
    const { timeoutMs, loadMs } = this.#options
    const limits = { timeoutMs: timeoutMs * Math.min(atOnce, images.length), loadMs }
    const { answers, threadId, workMs } = await this.#run({ kind: 'detect', images, atOnce }, limits)
    return { answers, threadId, workMs }
  }

  // Not piscina's own close(): it drops requests that run.
  async close(): Promise<void> {
    this.#isClosed = true
    await this.#overWithin(LOST_MS)
    const { kind } = this.#options.settings
    const limits = { timeoutMs: CLOSE_MS, loadMs: CLOSE_MS }
    if (kind === 'module' && this.#isOver) {
      await this.#run({ kind: 'close', images: [], atOnce: 1 }, limits).catch(() => {})
      await this.#overWithin(LOST_MS)
    }
    const ended = this.#over.then(() => this.#piscina.destroy())
    const all = Promise.all([ended, this.#left])
    await within(all, this.#isOver && this.#left === undefined ? undefined : LOST_MS)
    for (const [guard, over] of this.#guards) leaveThread(guard, over)
  }

  prepareExit(maxMs: number): void {
    for (const guard of this.#guards.keys()) condemnNow(guard, maxMs)
  }

  async #run(task: Omit<ThreadTask, 'guard'>, limits: RunLimits) {
    const { answer, over, guard } = runGuarded(this.#piscina, task, limits)
    this.#guard = guard
    this.#isOver = false
    this.#over = over.then(() => {
      this.#guards.delete(guard)
      this.#isOver = true
    })
    this.#guards.set(guard, this.#over)
    return orThrow(await answer)
  }

  async #overWithin(maxMs: number): Promise<void> {
    await within(this.#over, this.#isOver ? undefined : maxMs)
  }

  // A thread inside ONNX Runtime cannot be ended. One per lane is left behind to end when it may; a second is waited for.
  async #leaveLate(): Promise<void> {
    const over = this.#over
    await this.#overWithin(LATE_MS)
    if (this.#isOver) return
    await this.#left
    if (this.#isOver || this.#isClosed) return
    const late = this.#piscina
    this.#left = over.then(() => late.destroy())
    this.#piscina = this.#startThread()
  }
}

/** Waits for a promise, but no longer than this. */
async function within(promise: Promise<unknown>, maxMs: number | undefined): Promise<void> {
  if (maxMs === undefined) return void (await promise)
  const patience = new AbortController()
  await Promise.race([promise, sleep(maxMs, undefined, { signal: patience.signal }).catch(() => {})])
  patience.abort()
}

function isTimeout(error: unknown): boolean {
  return error instanceof InferenceError && error.code === 'LF_INFERENCE_TIMEOUT'
}

function slowError({ loadMs, warmUpMs }: Pick<ThreadLaneOptions, 'loadMs' | 'warmUpMs'>, cause: unknown) {
  const message = `The model was not loaded within ${loadMs / 1000} s, or did not answer its first image within ${warmUpMs / 1000} s.`
  return new InferenceError('LF_MODEL_SLOW', message, { cause, details: { loadMs, warmUpMs } })
}

type Done = Extract<ThreadAnswer, { readonly ok: true }>

function orThrow(answer: ThreadAnswer): Done {
  if (answer.ok) return answer
  throw fromThreadError(answer.error)
}

function startThread(
  PiscinaClass: typeof Piscina,
  { settings, maxHeapMb }: ThreadLaneOptions,
  { log, threadFile }: ThreadLaneDeps,
): Piscina {
  // Run from its TypeScript source (tests), this module must start the thread from source too; the loader that makes
  // that possible comes with the process's own --import, which threads inherit.
  const beside = new URL(import.meta.url.endsWith('.ts') ? './thread.ts' : './thread.js', import.meta.url)
  const piscina = new PiscinaClass({
    filename: (threadFile ?? beside).href,
    name: 'detect',
    minThreads: 1,
    maxThreads: 1,
    idleTimeout: Number.POSITIVE_INFINITY,
    concurrentTasksPerWorker: 1,
    // With "sync", timers and sockets of a module stand still between its images.
    atomics: settings.kind === 'module' ? 'async' : 'sync',
    workerData: settings,
    resourceLimits: {
      maxYoungGenerationSizeMb: YOUNG_MB,
      ...(maxHeapMb === undefined ? {} : { maxOldGenerationSizeMb: maxHeapMb }),
    },
  })
  piscina.on('error', (err: unknown) => log.warn({ err }, 'an idle inference thread failed'))
  return piscina
}
