import { performance } from 'node:perf_hooks'
import { threadId, workerData } from 'node:worker_threads'
import sharp from 'sharp'
import type { LaneAnswer } from './lane.js'
import { openModuleBackend } from './module-backend.js'
import { type InsideNative, insideNative, markBegun, type NativeGuard } from './native-guard.js'
import { openOnnxBackend } from './onnx-backend.js'
import type { ThreadBackend } from './thread-backend.js'
import { toThreadError } from './thread-error.js'
import type { ThreadAnswer, ThreadSettings, ThreadTask } from './thread-messages.js'

// Entry of a pool thread. The model is opened with the first task, not while the module loads: a model that cannot be
// opened is then an answer with a reason, and piscina does not start one thread after the other.
let backend: Promise<ThreadBackend> | undefined
let guard: NativeGuard | undefined
const settings: ThreadSettings = workerData

const guarded: InsideNative = (work) => (guard === undefined ? work() : insideNative(guard, work))

/** Works on images, or only loads the model; every failure is an answer, so that the thread lives on. */
export async function detect(task: ThreadTask): Promise<ThreadAnswer> {
  guard = task.guard
  try {
    if (task.kind === 'close') return await close()
    backend ??= open(() => markBegun(task.guard, 0))
    const { maxImages, wantsBatches, warnings = [], detect: detectAll } = await backend
    const { images, atOnce } = task
    const startedAt = performance.now()
    const answers: LaneAnswer[] = []
    for (let from = 0; from < images.length; from += atOnce) {
      const some = images.length <= atOnce ? images : images.slice(from, from + atOnce)
      markBegun(task.guard, from + some.length)
      answers.push(...(await detectAll(some)))
    }
    const workMs = performance.now() - startedAt
    return { ok: true, answers, maxImages, wantsBatches, warnings, threadId, workMs }
  } catch (error) {
    backend = undefined
    return { ok: false, error: toThreadError(error), threadId }
  }
}

async function open(onLoaded: () => void): Promise<ThreadBackend> {
  sharp.concurrency(1) // the pool is the parallelism
  sharp.cache(false)
  return settings.kind === 'onnx'
    ? await openOnnxBackend(settings, { native: guarded, onLoaded })
    : await openModuleBackend(settings, guarded)
}

async function close(): Promise<ThreadAnswer> {
  const opened = await backend
  await opened?.close()
  return { ok: true, answers: [], maxImages: 1, wantsBatches: false, warnings: [], threadId, workMs: 0 }
}
