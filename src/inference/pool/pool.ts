import { availableCpus } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import type { ModuleBackend, OnnxBackend } from '../backends/backend.js'
import { readOnnxPlan } from '../backends/model/onnx-plan.js'
import type { Runner } from '../backends/runner.js'
import type { ThreadSettings } from '../backends/thread-messages.js'
import { ImageQueue } from './image-queue.js'
import type { InferencePool, InferencePoolOptions } from './inference-pool.js'

export type { InferencePool, InferencePoolOptions } from './inference-pool.js'

const LOAD_MS = 300_000 // a large model from a slow disk
const WARM_UP_MS = 60_000

export type InferencePoolDeps = {
  readonly log: Logger
  /** Aborts the start; a thread that is in native code then cannot be ended. */
  readonly signal?: AbortSignal
  /** The module that runs in the threads, for tests that need one that breaks. */
  readonly threadFile?: URL
}

/** Starts the threads or the program and loads the model in each; rejects if the model or its options are bad. */
export async function createInferencePool(
  options: InferencePoolOptions,
  deps: InferencePoolDeps,
): Promise<InferencePool> {
  return await openQueue(await prepareRunner(options, deps), options, deps)
}

/**
 * The same in a child process, for a process that must not end when threads hang in native code. If the child ends, the
 * images that it has begun fail, and a new child replaces it.
 */
export async function createProcessPool(
  options: InferencePoolOptions,
  deps: Pick<InferencePoolDeps, 'log'>,
): Promise<InferencePool> {
  const { ProcessRunner } = await import('./process-runner.js')
  const open = (onChange: () => void) => new ProcessRunner(options, { ...deps, onChange })
  return await openQueue({ open, threshold: undefined, warnings: [] }, options, deps)
}

async function openQueue(
  { open, ...known }: Prepared,
  { backend, maxQueue = Number.POSITIVE_INFINITY, deadlineMs, batch }: InferencePoolOptions,
  deps: InferencePoolDeps,
): Promise<InferencePool> {
  const pool = new ImageQueue(open, { maxQueue, deadlineMs, maxImages: batch?.maxImages, ...known })
  try {
    await unlessAborted(pool.start(), deps.signal)
  } catch (error) {
    await pool.close()
    throw error
  }
  deps.log.debug({ backend: backend.kind, threads: pool.threadIds.length }, 'inference pool is warm')
  return pool
}

type Prepared = {
  readonly open: (onChange: () => void) => Runner
  readonly threshold: number | undefined
  /** About the model, from before it is loaded. */
  readonly warnings: readonly string[]
}

async function prepareRunner(options: InferencePoolOptions, deps: InferencePoolDeps): Promise<Prepared> {
  const { backend, timeoutMs = 60_000, loadMs = LOAD_MS, warmUpMs = WARM_UP_MS, maxHeapMb } = options
  const shared = { confidence: options.confidence ?? ('unit' as const), maxPixels: options.maxPixels ?? 64_000_000 }
  if (backend.kind === 'program') {
    // It decodes in this thread, with a library that other backends load only in their threads.
    const { ProgramRunner } = await import('../backends/program/program-runner.js')
    const program = { backend, timeoutMs, loadMs, ...shared }
    return { open: (onChange) => new ProgramRunner(program, { ...deps, onChange }), threshold: undefined, warnings: [] }
  }
  const { ThreadPool } = await import('./thread-pool.js')
  const threads = options.threads ?? Math.max(2, availableCpus() - 1)
  const { settings: own, ...known } = await settingsOf(backend)
  const pool = { settings: { ...own, ...shared }, threads, timeoutMs, loadMs, warmUpMs, maxHeapMb }
  return { open: (onChange) => new ThreadPool(pool, { ...deps, onChange }), ...known }
}

type Unshared<Settings> = Settings extends ThreadSettings ? Omit<Settings, 'confidence' | 'maxPixels'> : never
type Settled = Omit<Prepared, 'open'> & { readonly settings: Unshared<ThreadSettings> }

async function settingsOf(backend: OnnxBackend | ModuleBackend): Promise<Settled> {
  const { resolution } = backend
  if (backend.kind === 'module') {
    const { kind, file, modelFolder } = backend
    const categories = backend.categories.map(({ id, name, type }) => ({ id, name, type }))
    return { settings: { kind, file, modelFolder, categories, resolution }, threshold: undefined, warnings: [] }
  }
  const { kind, modelFile } = backend
  const { plan, warnings } = await readOnnxPlan(backend)
  const settings = { kind, modelFile, plan, categories: plan.categories, resolution }
  return { settings, threshold: plan.threshold, warnings }
}

async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await work
  let stopListening: () => void = () => undefined
  const aborted = new Promise<never>((_, reject) => {
    const onAbort = () => reject(signal.reason)
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    stopListening = () => signal.removeEventListener('abort', onAbort)
  })
  return await Promise.race([work, aborted]).finally(stopListening)
}
