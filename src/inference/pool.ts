import { access } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'
import type { Logger } from '../base/logger.js'
import type { Backend, ModuleBackend, OnnxBackend } from './backend.js'
import { type DecoderPlan, planWithoutFile, readDecoderFile } from './decoder-file.js'
import type { InferencePool } from './inference-pool.js'
import type { Lane } from './lane.js'
import { QueuedPool } from './queued-pool.js'
import { openThreadLane } from './thread-lane.js'
import type { ThreadSettings } from './thread-messages.js'

export type { Backend, ModuleBackend, OnnxBackend, ProgramBackend } from './backend.js'
export type { DetectResult, InferencePool, RequestOptions } from './inference-pool.js'

const LOAD_MS = 300_000 // a large model from a slow disk

export type InferencePoolOptions = {
  readonly backend: Backend
  /** Two at least; by default one less than the machine has cores. A program is always one. */
  readonly threads?: number
  readonly confidence?: 'unit' | 'percent'
  /** Images that may wait for a thread; more are refused with LF_INFERENCE_BUSY. */
  readonly maxQueue?: number
  /** What a request without a deadline of its own gets; none by default. */
  readonly deadlineMs?: number
  /**
   * Most images of one run. Only what already waits is put together, and only where the model has a free batch axis
   * or the backend takes several. By default ONNX models see one at a time, other backends as many as they ask for.
   */
  readonly batch?: { readonly maxImages: number }
  /** Larger images are refused with LF_IMAGE_TOO_LARGE; 64 million by default. */
  readonly maxPixels?: number
  /** A thread or program that needs longer for one image is ended and replaced; a minute by default. */
  readonly timeoutMs?: number
  /** A thread whose JavaScript heap grows beyond is ended and replaced. */
  readonly maxHeapMb?: number
}

export type InferencePoolDeps = {
  readonly log: Logger
  /** The module that runs in the threads, for tests that need one that breaks. */
  readonly threadFile?: URL
}

/** Starts the threads or the program and loads the model in each; rejects if that or what it needs is bad. */
export async function createInferencePool(
  options: InferencePoolOptions,
  deps: InferencePoolDeps,
): Promise<InferencePool> {
  const { backend, maxQueue = Number.POSITIVE_INFINITY, deadlineMs, batch } = options
  const lanes = await openLanes(options, deps)
  const pool = new QueuedPool(lanes, { maxQueue, deadlineMs, maxImages: batch?.maxImages }, deps)
  try {
    await pool.start()
  } catch (error) {
    await pool.close()
    throw error
  }
  deps.log.debug({ backend: backend.kind, lanes: lanes.length }, 'inference pool is warm')
  return pool
}

async function openLanes(options: InferencePoolOptions, deps: InferencePoolDeps): Promise<Lane[]> {
  const { backend, timeoutMs = 60_000, maxHeapMb } = options
  const shared = { confidence: options.confidence ?? ('unit' as const), maxPixels: options.maxPixels ?? 64_000_000 }
  if (backend.kind === 'program') {
    // It decodes in this thread, with a library that the others load in theirs only.
    const { openProgramLane } = await import('./program/program-lane.js')
    return [openProgramLane({ backend, timeoutMs, loadMs: LOAD_MS, ...shared }, deps)]
  }
  const threads = options.threads ?? Math.max(2, availableParallelism() - 1)
  const settings = { ...(await settingsOf(backend)), ...shared }
  const lane = { settings, timeoutMs, loadMs: LOAD_MS, maxHeapMb }
  return await Promise.all(Array.from({ length: threads }, () => openThreadLane(lane, deps)))
}

type Unshared<Settings> = Settings extends ThreadSettings ? Omit<Settings, 'confidence' | 'maxPixels'> : never

async function settingsOf(backend: OnnxBackend | ModuleBackend): Promise<Unshared<ThreadSettings>> {
  const { resolution } = backend
  const categories = backend.categories.map(({ id, name, type }) => ({ id, name, type }))
  if (backend.kind === 'module') {
    const { kind, file, modelFolder } = backend
    return { kind, file, modelFolder, categories, resolution }
  }
  const { kind, modelFile } = backend
  return { kind, modelFile, plan: await findPlan(backend), categories, resolution }
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
