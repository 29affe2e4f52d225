// What this machine could do at best: decodes a JPEG, runs an ONNX model, or decodes, shrinks and runs it, on all cores with nothing around it.
// A task is a line of JSON, its answer the rate.

import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import sharp from 'sharp'
import { z } from 'zod'
import { fillTensor } from '../../src/inference/image/image-tensor.js'
import { doTasks } from '../parts/tasks.js'

const taskSchema = z.object({
  kind: z.enum(['decode', 'model', 'decode-and-model']),
  image: z.string(),
  model: z.string(),
  seconds: z.number(),
})
type Task = z.output<typeof taskSchema>

const SIZE = 320

sharp.cache(false)
sharp.concurrency(1)
if (isMainThread) await doTasks(taskSchema, onAllCores)
else parentPort?.postMessage(await onOneCore(taskSchema.parse(workerData)))

async function onAllCores(task: Task) {
  const threads = Array.from(
    { length: availableParallelism() },
    () => new Worker(new URL(import.meta.url), { workerData: task }),
  )
  const rates = await Promise.all(
    threads.map(async (thread) => z.tuple([z.number()]).parse(await once(thread, 'message'))[0]),
  )
  await Promise.all(threads.map((thread) => thread.terminate()))
  return { rate: rates.reduce((sum, rate) => sum + rate, 0) }
}

async function onOneCore({ kind, image, model, seconds }: Task): Promise<number> {
  const work = await workOf({ kind, image, model })
  await work()
  const startedAt = performance.now()
  let count = 0
  for (; performance.now() - startedAt < seconds * 1000; count++) await work()
  return count / ((performance.now() - startedAt) / 1000)
}

async function workOf({ kind, image, model }: Omit<Task, 'seconds'>): Promise<() => Promise<unknown>> {
  const jpeg = readFileSync(image)
  switch (kind) {
    case 'decode':
      return () => sharp(jpeg).raw().toBuffer()
    case 'model':
      return await inferring(model)
    case 'decode-and-model':
      return await inferring(model, jpeg)
    default:
      return kind satisfies never
  }
}

async function inferring(model: string, jpeg?: Buffer): Promise<() => Promise<unknown>> {
  const session = await InferenceSession.create(model, { intraOpNumThreads: 1, interOpNumThreads: 1 })
  const input = new Float32Array(3 * SIZE * SIZE).fill(0.5)
  const images = new Tensor('float32', input, [1, 3, SIZE, SIZE])
  const options = { width: SIZE, height: SIZE, fit: 'letterbox' as const, maxPixels: Number.POSITIVE_INFINITY }
  return async () => {
    if (jpeg !== undefined) await fillTensor({ bytes: jpeg }, input, options)
    return await session.run({ images })
  }
}
