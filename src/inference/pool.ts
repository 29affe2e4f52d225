import { access } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'
import type { Piscina } from 'piscina'
import type { Logger } from '../base/logger.js'
import { type DecoderPlan, planWithoutFile, readDecoderFile } from './decoder-file.js'
import { InferenceError } from './errors.js'
import type { Findings, InferenceCategory } from './findings.js'
import { runGuarded } from './guarded-run.js'
import type { ImageSource } from './image-tensor.js'
import { condemnNow, type NativeGuard } from './native-guard.js'
import { fromThreadError, type ThreadAnswer, type ThreadImage, type ThreadSettings } from './thread-messages.js'
import { Turnstile } from './turnstile.js'

const EXIT_WAIT_MS = 10_000
const WARM_UP_MS = 300_000 // a large model from a slow disk

export type OnnxBackend = {
  readonly kind: 'onnx'
  readonly modelFile: string
  /** By default the decoder.json beside the model, if there is one. */
  readonly decoderFile?: string
  /** In the order of the model's outputs, as in model.json. */
  readonly categories: readonly InferenceCategory[]
  /** Edge of the square input of a YOLO model that names no size of its own. */
  readonly resolution?: number
}

export type InferencePoolOptions = {
  readonly backend: OnnxBackend
  /** Two at least; by default one less than the machine has cores. */
  readonly threads?: number
  readonly confidence?: 'unit' | 'percent'
  /** Images that may wait for a thread; more are refused with LF_INFERENCE_BUSY. */
  readonly maxQueue?: number
  /** Larger images are refused with LF_IMAGE_TOO_LARGE; 64 million by default. */
  readonly maxPixels?: number
  /** A thread that needs longer for one image is ended and replaced; a minute by default. */
  readonly timeoutMs?: number
}

export type InferencePoolDeps = {
  readonly log: Logger
  /** The module that runs in the threads, for tests that need one that breaks. */
  readonly threadFile?: URL
}

export type DetectResult = { readonly detections: Findings; readonly threadId: number }

export interface InferencePool {
  /**
   * Finds what is on one image. Aborting removes a waiting image from the queue; one that runs is let finish unseen.
   * `bytes` must not be changed before the answer. Throws InferenceError; `isImageError` tells a bad image.
   */
  detect(image: ImageSource, options?: { readonly signal?: AbortSignal }): Promise<DetectResult>
  /** The threads that have answered so far, replaced ones included. */
  readonly threadIds: readonly number[]
  /** Images that wait or run. */
  readonly inFlight: number
  /** Takes no more images, waits for all that were taken, then ends the threads. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** Starts the threads and loads the model in each; rejects if the model, its decoder.json or the runtime is bad. */
export async function createInferencePool(
  options: InferencePoolOptions,
  deps: InferencePoolDeps,
): Promise<InferencePool> {
  const { backend } = options
  const threads = options.threads ?? Math.max(2, availableParallelism() - 1)
  const settings: ThreadSettings = {
    modelFile: backend.modelFile,
    plan: await findPlan(backend),
    categories: backend.categories.map(({ id, name, type }) => ({ id, name, type })),
    resolution: backend.resolution,
    confidence: options.confidence ?? 'unit',
    maxPixels: options.maxPixels ?? 64_000_000,
  }
  const piscina = await startThreads(threads, settings, deps)
  const pool = new OnnxPool(piscina, threads, options)
  try {
    await pool.warmUp(threads)
  } catch (error) {
    await pool.close()
    throw error
  }
  deps.log.debug({ threads, modelFile: backend.modelFile, layout: settings.plan.layout }, 'inference pool is warm')
  return pool
}

class OnnxPool implements InferencePool {
  readonly #piscina: Piscina
  readonly #turnstile: Turnstile
  readonly #maxQueue: number
  readonly #timeoutMs: number
  readonly #threadIds = new Set<number>()
  readonly #guards = new Set<NativeGuard>()
  #closed: Promise<void> | undefined

  // A process that exits ends its threads wherever they are.
  readonly #onExit = () => {
    for (const guard of this.#guards) condemnNow(guard, EXIT_WAIT_MS)
  }

  constructor(piscina: Piscina, threads: number, options: InferencePoolOptions) {
    this.#piscina = piscina
    this.#turnstile = new Turnstile(threads)
    this.#maxQueue = options.maxQueue ?? Number.POSITIVE_INFINITY
    this.#timeoutMs = options.timeoutMs ?? 60_000
    process.once('exit', this.#onExit)
  }

  get threadIds(): readonly number[] {
    return [...this.#threadIds]
  }

  get inFlight(): number {
    return this.#turnstile.inside + this.#turnstile.waiting
  }

  // All have to be over before the threads may be ended, also when the first one has failed.
  async warmUp(threads: number): Promise<void> {
    const runs = Array.from({ length: threads }, () => this.#run(undefined, WARM_UP_MS))
    await Promise.all(runs.map(({ over }) => over))
    await Promise.all(runs.map(({ result }) => result))
  }

  async detect(image: ImageSource, options: { readonly signal?: AbortSignal } = {}): Promise<DetectResult> {
    const { signal } = options
    if (this.#closed !== undefined) throw new InferenceError('LF_INFERENCE_CLOSED', 'The inference pool is closed.')
    if (this.#turnstile.waiting >= this.#maxQueue) throw busyError(this.#maxQueue)
    const leave = await this.#turnstile.enter(signal)
    const { result, over } = this.#run(withOwnBytes(image), this.#timeoutMs)
    void over.then(leave)
    return await untilAborted(result, signal)
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  // Not piscina's own close(): it drops requests that run.
  async #close(): Promise<void> {
    await this.#turnstile.empty()
    await this.#piscina.destroy()
    process.removeListener('exit', this.#onExit)
  }

  #run(image: ThreadImage | undefined, timeoutMs: number): { result: Promise<DetectResult>; over: Promise<void> } {
    const { answer, over, guard } = runGuarded(this.#piscina, image, timeoutMs)
    this.#guards.add(guard)
    void over.then(() => this.#guards.delete(guard))
    const result = answer.then((found) => this.#toResult(found))
    result.catch(() => {}) // the caller may have given up
    return { result, over }
  }

  #toResult(answer: ThreadAnswer): DetectResult {
    this.#threadIds.add(answer.threadId)
    if (!answer.ok) throw fromThreadError(answer.error)
    return { detections: answer.findings, threadId: answer.threadId }
  }
}

async function findPlan({ modelFile, decoderFile }: OnnxBackend): Promise<DecoderPlan> {
  if (decoderFile !== undefined) return await readDecoderFile(decoderFile)
  const beside = join(dirname(modelFile), 'decoder.json')
  const exists = await access(beside).then(
    () => true,
    () => false,
  )
  return exists ? await readDecoderFile(beside) : planWithoutFile
}

async function startThreads(threads: number, settings: ThreadSettings, deps: InferencePoolDeps): Promise<Piscina> {
  const { Piscina } = await import('piscina')
  // Run from its TypeScript source (tests), this module must start the thread from source too; the loader that makes
  // that possible comes with the process's own --import, which threads inherit.
  const beside = new URL(import.meta.url.endsWith('.ts') ? './thread.ts' : './thread.js', import.meta.url)
  const piscina = new Piscina({
    filename: (deps.threadFile ?? beside).href,
    name: 'detect',
    minThreads: threads,
    maxThreads: threads,
    idleTimeout: Number.POSITIVE_INFINITY,
    concurrentTasksPerWorker: 1,
    workerData: settings,
  })
  piscina.on('error', (err: unknown) => deps.log.warn({ err }, 'an idle inference thread failed'))
  return piscina
}

// A copy with a buffer of its own can be moved to the thread; a Buffer may share its memory with others.
function withOwnBytes(image: ImageSource): ThreadImage {
  return 'bytes' in image ? { bytes: new Uint8Array(image.bytes) } : { path: image.path }
}

async function untilAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await work
  return await new Promise((resolve, reject) => {
    const giveUp = () => reject(signal.reason)
    signal.addEventListener('abort', giveUp, { once: true })
    if (signal.aborted) giveUp()
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', giveUp))
  })
}

function busyError(maxQueue: number): InferenceError {
  const message = `${maxQueue} images already wait for inference; try again later.`
  return new InferenceError('LF_INFERENCE_BUSY', message, { failure: 'transient', details: { maxQueue } })
}
