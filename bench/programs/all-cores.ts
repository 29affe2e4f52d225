// What this machine could do at best: decodes a JPEG, runs an ONNX model, or both, on all cores with nothing around it.
// A task is a line of JSON, its answer the rate.

import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import sharp from 'sharp'
import { z } from 'zod'
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
  const work = kind === 'decode' ? decoding(image) : await inferring(model, kind === 'model' ? undefined : image)
  await work()
  const startedAt = performance.now()
  let count = 0
  for (; performance.now() - startedAt < seconds * 1000; count++) await work()
  return count / ((performance.now() - startedAt) / 1000)
}

function decoding(image: string): () => Promise<unknown> {
  const jpeg = readFileSync(image)
  return () => sharp(jpeg).raw().toBuffer()
}

async function inferring(model: string, image: string | undefined): Promise<() => Promise<unknown>> {
  const session = await InferenceSession.create(model, { intraOpNumThreads: 1, interOpNumThreads: 1 })
  const input = new Float32Array(3 * SIZE * SIZE).fill(0.5)
  const images = new Tensor('float32', input, [1, 3, SIZE, SIZE])
  const jpeg = image === undefined ? undefined : readFileSync(image)
  return async () => {
    if (jpeg !== undefined) paint(await sharp(jpeg).resize(SIZE, SIZE, { fit: 'fill' }).raw().toBuffer(), input)
    return await session.run({ images })
  }
}

function paint(pixels: Buffer, input: Float32Array): void {
  const plane = SIZE * SIZE
  for (let at = 0; at < plane; at++) {
    for (let channel = 0; channel < 3; channel++) input[at + channel * plane] = (pixels[3 * at + channel] ?? 0) / 255
  }
}
