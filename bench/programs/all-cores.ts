// What this machine could do at best: decodes a JPEG, or runs an ONNX model, on all cores and with nothing around it.
// A task is a line of JSON, its answer the rate.

import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import sharp from 'sharp'
import { z } from 'zod'
import { doTasks } from '../parts/tasks.js'

const taskSchema = z.object({ kind: z.enum(['decode', 'model']), file: z.string(), seconds: z.number() })
type Task = z.output<typeof taskSchema>

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

async function onOneCore({ kind, file, seconds }: Task): Promise<number> {
  const work = kind === 'decode' ? decoding(readFileSync(file)) : await inferring(file)
  await work()
  const startedAt = performance.now()
  let count = 0
  for (; performance.now() - startedAt < seconds * 1000; count++) await work()
  return count / ((performance.now() - startedAt) / 1000)
}

function decoding(jpeg: Buffer): () => Promise<unknown> {
  return () => sharp(jpeg).raw().toBuffer()
}

async function inferring(file: string): Promise<() => Promise<unknown>> {
  const session = await InferenceSession.create(file, { intraOpNumThreads: 1, interOpNumThreads: 1 })
  const tensor = new Tensor('float32', new Float32Array(3 * 320 * 320).fill(0.5), [1, 3, 320, 320])
  return () => session.run({ images: tensor })
}
