import type { OwnedImage } from '../../images/index.js'
import { Recovery } from '../backends/recovery.js'
import type { Outage, Runner, RunnerDeps, StartedBatch } from '../backends/runner.js'
import { begunImages, InferenceError } from '../basics/index.js'
import { orThrow, ThreadSet, type ThreadSetDeps, type ThreadSetOptions } from './thread-set.js'
import type { Thread } from './thread-work.js'

export type ThreadPoolDeps = RunnerDeps & ThreadSetDeps

/** The threads of one model. One that ends or hangs is replaced; for one that is lost, all are. */
export class ThreadPool implements Runner {
  readonly takesBundles = true
  readonly threadIds = new Set<number>()
  maxImages = 1
  wantsBatches = false
  warnings: readonly string[] = []
  readonly #options: ThreadSetOptions
  readonly #deps: ThreadPoolDeps
  readonly #recovery: Recovery
  readonly #sets = new Set<ThreadSet>()
  #set: ThreadSet
  #isClosed = false

  constructor(options: ThreadSetOptions, deps: ThreadPoolDeps) {
    this.#options = options
    this.#deps = deps
    this.#recovery = new Recovery({
      isWhole: () => this.#set.width === options.threads,
      restore: () => this.#restore(),
      onChange: deps.onChange,
      log: deps.log,
    })
    this.#set = this.#openSet()
  }

  get free(): number {
    return this.#set.free
  }

  get width(): number {
    return this.#set.width
  }

  get outage(): Outage | undefined {
    return this.#set.width === 0 ? this.#recovery.outage : undefined
  }

  start(): Promise<void> {
    return this.#fill(this.#set)
  }

  run(images: readonly OwnedImage[], atOnce: number): StartedBatch {
    const { answer, guard } = this.#set.detect(images, atOnce)
    const done = answer.then((given) => {
      const { answers, threadId, workMs } = orThrow(given)
      this.#recovery.succeeded()
      return { answers, threadId, workMs }
    })
    return { done, begun: () => begunImages(guard) }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#recovery.end()
    await Promise.all([...this.#sets].map((set) => set.close()))
  }

  #openSet(): ThreadSet {
    const set: ThreadSet = new ThreadSet(this.#options, this.#deps, (failure) => {
      if (set !== this.#set || this.#isClosed) return
      if (failure !== undefined) this.#recovery.begin(failure)
      this.#deps.onChange()
    })
    this.#sets.add(set)
    return set
  }

  /** The first thread tries the model alone: one that never answers costs one thread then, not all. */
  async #fill(set: ThreadSet): Promise<void> {
    const [first, ...others] = boot(set, this.#options.threads)
    await this.#load(set, first === undefined ? [] : [first])
    await this.#load(set, others)
  }

  async #load(set: ThreadSet, threads: readonly Promise<Thread>[]): Promise<void> {
    const loads = await Promise.allSettled(threads.map(async (thread) => set.load(await thread)))
    const failed = loads.find((load) => load.status === 'rejected')
    for (const load of loads) {
      if (load.status === 'rejected') continue
      this.threadIds.add(load.value.threadId)
      this.maxImages = load.value.maxImages
      this.wantsBatches = load.value.wantsBatches
      this.warnings = load.value.warnings
    }
    if (failed !== undefined) throw failed.reason
    if (this.#isClosed) throw new InferenceError('LF_INFERENCE_CLOSED', 'The inference pool is closed.')
  }

  async #restore(): Promise<void> {
    const set = this.#set
    // Twice: what ends the first thread may end others a moment later.
    for (let pass = 1; pass <= 2; pass++) {
      if (!(await set.hasRoom())) return await this.#replace(set)
      await this.#load(set, boot(set, this.#options.threads - set.width))
    }
  }

  /** A lost thread keeps its place in its piscina, so another piscina takes over, as in a swap of models. */
  async #replace(set: ThreadSet): Promise<void> {
    const next = this.#openSet()
    try {
      await this.#fill(next)
    } catch (error) {
      void next.close().then(() => this.#sets.delete(next))
      throw error
    }
    this.#set = next
    void set.retire().then(() => this.#sets.delete(set))
    this.#deps.log.info({ threads: next.width }, 'inference threads replaced')
  }
}

function boot(set: ThreadSet, threads: number): Promise<Thread>[] {
  return Array.from({ length: threads }, () => {
    const booting = set.boot()
    booting.catch(() => {}) // seen when its turn comes
    return booting
  })
}
