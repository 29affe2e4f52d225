import { performance } from 'node:perf_hooks'
import process from 'node:process'
import { threadId, workerData } from 'node:worker_threads'
import sharp from 'sharp'
import { openModuleBackend } from '../backends/module-backend.js'
import { openOnnxBackend } from '../backends/onnx-backend.js'
import type { ImageAnswer } from '../backends/runner.js'
import { toThreadError } from '../backends/thread-error.js'
import type { ThreadAnswer, ThreadBackend, ThreadSettings, ThreadTask } from '../backends/thread-messages.js'
import { type InsideNative, insideNative, markBegun, type NativeGuard } from '../basics/index.js'

// Entry of a pool thread. The model is loaded by a task of its own, not while this module loads, so that a model that
// cannot be loaded is an answer with a reason.
let backend: ThreadBackend | undefined
let guard: NativeGuard | undefined
const settings: ThreadSettings = workerData

const guarded: InsideNative = (work) => (guard === undefined ? work() : insideNative(guard, work))

/** The first task of each thread, which only needs this module. */
export function boot(): ThreadAnswer {
  return { ok: true, answers: [], maxImages: 1, wantsBatches: false, warnings: [], threadId, workMs: 0 }
}

/** Loads the model and tries it. */
export async function load(task: ThreadTask): Promise<ThreadAnswer> {
  return await answer(task, async () => {
    backend = await open(() => markBegun(task.guard, 0))
    return []
  })
}

/** Works on images; every failure is an answer, so that the thread lives on. */
export async function detect(task: ThreadTask): Promise<ThreadAnswer> {
  const { images, atOnce } = task
  return await answer(task, async (loaded) => {
    const answers: ImageAnswer[] = []
    for (let from = 0; from < images.length; from += atOnce) {
      const some = images.length <= atOnce ? images : images.slice(from, from + atOnce)
      markBegun(task.guard, from + some.length)
      answers.push(...(await loaded().detect(some)))
    }
    return answers
  })
}

/** Lets the backend give back what it holds, and ends the thread; the last task of each thread. */
export async function close(task: ThreadTask): Promise<void> {
  guard = task.guard
  markBegun(task.guard, 0)
  await backend?.close().catch(() => undefined)
  process.exit()
}

async function answer(
  task: ThreadTask,
  work: (loaded: () => ThreadBackend) => Promise<readonly ImageAnswer[]>,
): Promise<ThreadAnswer> {
  guard = task.guard
  const startedAt = performance.now()
  try {
    const answers = await work(loaded)
    const workMs = performance.now() - startedAt
    const { maxImages, wantsBatches, warnings = [] } = loaded()
    return { ok: true, answers, maxImages, wantsBatches, warnings, threadId, workMs }
  } catch (error) {
    return { ok: false, error: toThreadError(error), threadId }
  }
}

function loaded(): ThreadBackend {
  if (backend === undefined) throw new Error('the thread has not loaded its model')
  return backend
}

async function open(onLoaded: () => void): Promise<ThreadBackend> {
  sharp.concurrency(1) // the pool is the parallelism
  sharp.cache(false)
  return settings.kind === 'onnx'
    ? await openOnnxBackend(settings, { native: guarded, onLoaded })
    : await openModuleBackend(settings, guarded)
}
