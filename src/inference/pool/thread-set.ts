import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Worker } from 'node:worker_threads'
import { Piscina, queueOptionsSymbol } from 'piscina'
import { isWithin } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import { threadFileBeside } from '../../base/threads/index.js'
import { buffersOf, type OwnedImage } from '../../images/index.js'
import {
  fromThreadError,
  isTimeout,
  modelSlowError,
  threadDiedError,
  threadLateError,
} from '../backends/thread-error.js'
import type { ThreadAnswer, ThreadSettings, ThreadTask } from '../backends/thread-messages.js'
import { condemn, type InferenceError, type Limits, noteThread, threadState, watchGuard } from '../basics/index.js'
import { Task, type Thread } from './thread-work.js'

export type ThreadSetOptions = {
  readonly settings: ThreadSettings
  readonly threads: number
  /** For each image. */
  readonly timeoutMs: number
  readonly loadMs: number
  /** For the first image, with which a model is tried, once it is loaded. */
  readonly warmUpMs: number
  /** A thread ends when its heap grows beyond. */
  readonly maxHeapMb: number | undefined
}

export type ThreadSetDeps = {
  readonly log: Logger
  /** The module that runs in the threads, for tests that need one that breaks. */
  readonly threadFile?: URL
}

const LATE_MS = 1000 // for a late thread to come out of native code, before it counts as lost
const CLOSE_MS = 2000 // for a backend to give back what it holds
const LEAVE_MS = 2000 // for threads at work when their pool is closed

type Work = Pick<ThreadTask, 'images' | 'atOnce'>
const NO_WORK: Work = { images: [], atOnce: 1 }

/**
 * One piscina and its threads. A thread is started by its first task, loads the model in its second, and ends itself in
 * its last. Of piscina's own ends, `close` drops tasks and `destroy` aborts the process when a thread is inside native code.
 */
export class ThreadSet {
  readonly #options: ThreadSetOptions
  readonly #log: Logger
  readonly #onChange: (failure?: InferenceError) => void
  readonly #piscina: Piscina<ThreadTask & Chosen, ThreadAnswer>
  readonly #threads = new Set<Thread>()
  readonly #idle: Thread[] = []
  /** Threads with a model, whose time is not over. */
  readonly #usable = new Set<Thread>()
  readonly #lost = new Set<Thread>()
  readonly #tasks = new Set<Task>()
  readonly #late = new Set<Promise<void>>()
  #isRetired = false

  constructor(options: ThreadSetOptions, deps: ThreadSetDeps, onChange: (failure?: InferenceError) => void) {
    this.#options = options
    this.#log = deps.log
    this.#onChange = onChange
    this.#piscina = openPiscina(options, deps)
    this.#piscina.on('workerCreate', () => this.#adopt())
  }

  get free(): number {
    return this.#idle.length
  }

  get width(): number {
    return this.#usable.size
  }

  /** Starts a thread without the model. */
  async boot(): Promise<Thread> {
    const task = this.#begin('boot', NO_WORK, { ...this.#options, timeoutMs: this.#options.loadMs })
    this.#adopt()
    await task.answer
    if (task.thread === undefined) throw new Error('no thread has booted')
    return task.thread
  }

  /** Loads the model in a thread. */
  async load(thread: Thread): Promise<Done> {
    const { loadMs, warmUpMs } = this.#options
    if (thread.state !== 'booted' || !this.#isHere(thread)) throw threadDiedError(new Error('it ended before'))
    thread.state = 'working'
    const { answer } = this.#begin('load', NO_WORK, { timeoutMs: warmUpMs, loadMs }, thread)
    try {
      return orThrow(await answer)
    } catch (error) {
      throw isTimeout(error) ? modelSlowError(this.#options, error) : error
    }
  }

  detect(images: readonly OwnedImage[], atOnce: number): Task {
    const { timeoutMs, loadMs } = this.#options
    const thread = this.#idle.shift()
    if (thread === undefined) throw new Error('no inference thread is free')
    thread.state = 'working'
    const limits = { timeoutMs: timeoutMs * Math.min(atOnce, images.length), loadMs }
    return this.#begin('detect', { images, atOnce }, limits, thread)
  }

  /** Waits until each thread that was late or has failed has left its place to another one, or is lost; false in that case. */
  async hasRoom(): Promise<boolean> {
    await Promise.all(this.#late)
    const ending = [...this.#threads].filter(({ state }) => state === 'ending')
    await Promise.all(ending.map(({ exited, lost }) => Promise.race([exited, lost])))
    return this.#lost.size === 0
  }

  /** Ends each thread as soon as it is free; resolves when all have exited. */
  async retire(): Promise<void> {
    this.#isRetired = true
    for (const thread of this.#threads) if (thread.state === 'booted' || thread.state === 'idle') this.#end(thread)
    this.#idle.length = 0
    await Promise.all([...this.#threads].map(({ exited }) => exited))
  }

  /** Resolves when all threads have exited, but for those that do not come out of native code in time. */
  async close(): Promise<void> {
    void this.retire()
    await Promise.all([...this.#threads].map((thread) => this.#exitedOrLeft(thread)))
  }

  async #exitedOrLeft(thread: Thread): Promise<void> {
    const exitedOrLost = Promise.race([thread.exited, thread.lost])
    if (await isWithin(exitedOrLost, LEAVE_MS)) return
    const task = [...this.#tasks].find((one) => one.thread === thread)
    if (thread.state === 'new' || thread.state === 'booting') void thread.worker.terminate()
    if (thread.state === 'working' && task !== undefined) {
      if (!condemn(task.guard)) return noteThread(task.guard, 'left')
      task.ending.abort()
    }
    await exitedOrLost
  }

  #begin(name: 'boot' | 'load' | 'detect' | 'close', work: Work, limits: Limits, thread?: Thread): Task {
    const task = new Task(thread)
    const { guard, ending } = task
    const run = this.#piscina.run(
      { ...work, guard, [queueOptionsSymbol]: { choose: (workers) => this.#choose(task, workers) } },
      { name, signal: ending.signal, transferList: work.images.flatMap(buffersOf) },
    )
    this.#tasks.add(task)
    noteThread(guard, 'busy')
    const stopWatching = watchGuard(guard, limits, () => this.#onLate(task, threadLateError(limits)))
    run.then(
      (answer) => {
        stopWatching()
        task.resolve(answer)
        this.#onOver(task, answer.ok)
      },
      (cause: unknown) => {
        stopWatching()
        task.reject(threadDiedError(cause))
        this.#onOver(task, false, threadDiedError(cause))
      },
    )
    return task
  }

  /** Which thread gets the task: the one it is for, or one that has not loaded a model yet. */
  #choose(task: Task, workers: Workers): Workers[number] | null {
    const isHere = ({ id }: Thread) => workers.some((worker) => worker.id === id)
    task.thread ??= [...this.#threads].find((thread) => thread.state === 'new' && isHere(thread))
    const { thread } = task
    if (thread?.state === 'new') thread.state = 'booting'
    return workers.find(({ id }) => id === thread?.id) ?? null
  }

  /** The thread is free or gone. */
  #onOver(task: Task, isGood: boolean, failure?: InferenceError): void {
    const { guard, thread } = task
    task.isOver = true
    this.#tasks.delete(task)
    if (threadState(guard) === 'busy') noteThread(guard, undefined)
    else void thread?.exited.then(() => noteThread(guard, undefined))
    if (thread === undefined) return
    if (!this.#isHere(thread)) {
      thread.state = 'gone'
      this.#drop(thread, failure)
    } else if (isGood && !task.isLate && !this.#isRetired) {
      thread.state = thread.state === 'booting' ? 'booted' : 'idle'
      if (thread.state === 'booted') return
      this.#idle.push(thread)
      this.#usable.add(thread)
      this.#onChange()
    } else {
      this.#drop(thread, failure ?? threadDiedError(new Error('it failed')))
      this.#end(thread)
    }
  }

  #end(thread: Thread): void {
    if (thread.state === 'ending' || thread.state === 'gone' || !this.#isHere(thread)) return
    thread.state = 'ending'
    this.#begin('close', NO_WORK, { timeoutMs: CLOSE_MS, loadMs: CLOSE_MS }, thread)
  }

  /** piscina lets go of a thread that has failed before it exits, and would start another one for its next task. */
  #isHere(thread: Thread): boolean {
    return this.#piscina.threads.includes(thread.worker)
  }

  #drop(thread: Thread, failure: InferenceError | undefined): void {
    const index = this.#idle.indexOf(thread)
    if (index >= 0) this.#idle.splice(index, 1)
    if (this.#usable.delete(thread)) this.#onChange(failure)
  }

  #onLate(task: Task, error: InferenceError): void {
    task.isLate = true
    task.reject(error)
    const ending = this.#endLate(task).finally(() => this.#late.delete(ending))
    this.#late.add(ending)
    if (task.thread !== undefined) this.#drop(task.thread, error)
  }

  /** Ends the thread if it is outside native code, or comes out soon; otherwise it is lost, and ended when it comes out. */
  async #endLate(task: Task): Promise<void> {
    const lostAt = performance.now() + LATE_MS
    while (!task.isOver && !condemn(task.guard)) {
      if (performance.now() >= lostAt) return this.#lose(task)
      await sleep(20, undefined, { ref: false })
    }
    task.ending.abort()
  }

  #lose(task: Task): void {
    const { thread, guard } = task
    if (thread === undefined) return
    this.#log.error({ threadId: thread.id }, 'an inference thread does not come back from native code')
    this.#lost.add(thread)
    thread.lose()
    noteThread(guard, 'lost')
    const check = setInterval(() => {
      if (!task.isOver && !condemn(guard)) return
      clearInterval(check)
      task.ending.abort()
    }, 200).unref()
  }

  /** Takes over each thread that piscina has started, and ends one that no task waits for. */
  #adopt(): void {
    const known = new Set([...this.#threads].map(({ worker }) => worker))
    for (const worker of this.#piscina.threads) if (!known.has(worker)) this.#add(worker)
    queueMicrotask(() => {
      const isAwaited = [...this.#tasks].some(({ thread }) => thread === undefined)
      for (const { state, worker } of isAwaited ? [] : this.#threads) if (state === 'new') void worker.terminate()
    })
  }

  #add(worker: Worker): void {
    let onExit: () => void = () => {}
    let lose: () => void = () => {}
    let failure: InferenceError | undefined
    const exited = new Promise<void>((resolve) => (onExit = resolve))
    const lost = new Promise<void>((resolve) => (lose = resolve))
    const thread: Thread = { id: worker.threadId, worker, exited, lost, lose, state: 'new' }
    this.#threads.add(thread)
    worker.once('error', (error) => {
      failure = threadDiedError(error)
      this.#drop(thread, failure)
    })
    worker.once('exit', (code) => {
      failure ??= threadDiedError(new Error(`it exited with code ${code}`))
      const waiting = thread.state === 'new' ? [...this.#tasks].find((task) => task.thread === undefined) : undefined
      waiting?.reject(failure) // it has ended before it took its first task, which piscina then forgets
      waiting?.ending.abort()
      thread.state = 'gone'
      this.#threads.delete(thread)
      this.#lost.delete(thread)
      this.#drop(thread, failure)
      onExit()
    })
  }
}

type Options = NonNullable<ConstructorParameters<typeof Piscina>[0]>
type Workers = Parameters<NonNullable<Options['loadBalancer']>>[1]
type Chooser = { readonly choose: (workers: Workers) => Workers[number] | null }
/** How a task reaches the balancer: as what piscina calls the options for queues, which stay in this thread. */
type Chosen = { readonly [queueOptionsSymbol]: Chooser }

function isChooser(value: object | null): value is Chooser {
  return value !== null && 'choose' in value
}

function openPiscina(
  { settings, threads, maxHeapMb }: ThreadSetOptions,
  { log, threadFile }: ThreadSetDeps,
): Piscina<ThreadTask & Chosen, ThreadAnswer> {
  const piscina = new Piscina<ThreadTask & Chosen, ThreadAnswer>({
    filename: (threadFile ?? threadFileBeside(import.meta.url)).href,
    minThreads: 0, // each is started by the task that loads its model
    maxThreads: threads,
    idleTimeout: Number.POSITIVE_INFINITY,
    concurrentTasksPerWorker: 1,
    // With "sync", timers and sockets of a module stand still between its images.
    atomics: settings.kind === 'module' ? 'async' : 'sync',
    loadBalancer: (task, workers) => {
      const chooser = task[queueOptionsSymbol]
      return isChooser(chooser) ? chooser.choose(workers) : null
    },
    workerData: settings,
    resourceLimits: {
      maxYoungGenerationSizeMb: 6, // next to nothing grows old in a thread; V8 takes 48 otherwise
      ...(maxHeapMb === undefined ? {} : { maxOldGenerationSizeMb: maxHeapMb }),
    },
  })
  piscina.on('error', (err: unknown) => log.warn({ err }, 'an idle inference thread failed'))
  return piscina
}

export type Done = Extract<ThreadAnswer, { readonly ok: true }>

/** Throws the error of the model or the thread. */
export function orThrow(answer: ThreadAnswer): Done {
  if (answer.ok) return answer
  throw fromThreadError(answer.error)
}
