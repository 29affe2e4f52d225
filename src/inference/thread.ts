import { threadId, workerData } from 'node:worker_threads'
import sharp from 'sharp'
import { decode } from './decoders/decode.js'
import { emptyFindings, type Findings, toFindings } from './findings.js'
import { fillTensor } from './image-tensor.js'
import { insideNative } from './native-guard.js'
import { type OnnxModel, openOnnxModel } from './onnx-model.js'
import { type ThreadAnswer, type ThreadSettings, type ThreadTask, toThreadError } from './thread-messages.js'

// Entry of a pool thread. The model is opened with the first task, not while the module loads: a model that cannot be
// opened is then an answer with a reason, and piscina does not start one thread after the other.
let model: Promise<OnnxModel> | undefined
const settings: ThreadSettings = workerData

/** Reads one image, or only warms the thread up; every failure is an answer, so that the thread lives on. */
export async function detect(task: ThreadTask): Promise<ThreadAnswer> {
  try {
    model ??= insideNative(task.guard, open)
    return { ok: true, findings: await detectWith(await model, task), threadId }
  } catch (error) {
    return { ok: false, error: toThreadError(error), threadId }
  }
}

async function open(): Promise<OnnxModel> {
  sharp.concurrency(1) // the pool is the parallelism
  sharp.cache(false)
  return await openOnnxModel(settings)
}

async function detectWith(loaded: OnnxModel, task: ThreadTask): Promise<Findings> {
  const run = () => insideNative(task.guard, () => loaded.run())
  const { plan, categories, confidence, maxPixels } = settings
  if (task.image === undefined) {
    loaded.input.fill(0.5)
    decode(await run(), plan, categories.length)
    return emptyFindings()
  }
  const { width, height, fit } = loaded
  const place = await fillTensor(task.image, loaded.input, { width, height, fit, maxPixels })
  const decoded = decode(await run(), plan, categories.length)
  const pointCategories = 'point_categories' in plan ? plan.point_categories : undefined
  return toFindings(decoded, place, { categories, pointCategories, confidence })
}
