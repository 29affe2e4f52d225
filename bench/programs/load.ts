// Clients of a detector, in a process of their own: so many connections, each of which sends its next image when it has
// the answer to the one before. A task is a line of JSON, its answer the rate and the latencies.
import { readFileSync } from 'node:fs'
import autocannon from 'autocannon'
import sharp from 'sharp'
import { io, type Socket } from 'socket.io-client'
import { z } from 'zod'
import { percentile } from '../figure.js'
import { doTasks } from '../parts/tasks.js'

const taskSchema = z.object({
  kind: z.enum(['rest', 'socket-jpeg', 'socket-raw']),
  url: z.string(),
  connections: z.int().min(1),
  seconds: z.number(),
  /** A JPEG. */
  file: z.string(),
})
type Task = z.output<typeof taskSchema>

const BOUNDARY = 'loopfleet-bench'

await doTasks(taskSchema, async (task) => (task.kind === 'rest' ? await rest(task) : await socket(task)))

async function rest({ url, connections, seconds, file }: Task) {
  const head = `--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="image.jpg"\r\nContent-Type: image/jpeg\r\n\r\n`
  const body = Buffer.concat([Buffer.from(head), readFileSync(file), Buffer.from(`\r\n--${BOUNDARY}--\r\n`)])
  const latencies: number[] = []
  let failed = 0
  const startedAt = performance.now()
  await new Promise<void>((resolve, reject) => {
    const options = {
      url: `${url}/detect`,
      method: 'POST' as const,
      connections,
      duration: seconds,
      headers: { 'content-type': `multipart/form-data; boundary=${BOUNDARY}`, autoupload: 'disabled' },
      body,
    }
    const run = autocannon(options, (error) => (error === null ? resolve() : reject(error)))
    run.on('response', (_client, status, _bytes, milliseconds) => {
      if (status === 200) latencies.push(milliseconds)
      else failed += 1
    })
  })
  return result(latencies, failed, performance.now() - startedAt)
}

async function socket({ kind, url, connections, seconds, file }: Task) {
  const payload = await payloadOf(kind, readFileSync(file))
  const sockets = await Promise.all(Array.from({ length: connections }, () => connect(url)))
  const latencies: number[] = []
  let failed = 0
  const startedAt = performance.now()
  const until = startedAt + seconds * 1000
  const send = async (client: Socket) => {
    while (performance.now() < until) {
      const sentAt = performance.now()
      const answer: unknown = await client.emitWithAck('detect', payload)
      if (typeof answer !== 'object' || answer === null || 'error' in answer) failed += 1
      else latencies.push(performance.now() - sentAt)
    }
  }
  await Promise.all(sockets.map(send))
  const took = performance.now() - startedAt
  for (const client of sockets) client.disconnect()
  return result(latencies, failed, took)
}

async function payloadOf(kind: Task['kind'], jpeg: Buffer): Promise<object> {
  if (kind === 'socket-jpeg') return { image: jpeg, autoupload: 'disabled' }
  const { data, info } = await sharp(jpeg).raw().toBuffer({ resolveWithObject: true })
  const shape = [info.height, info.width, info.channels]
  return { image: { bytes: data, dtype: 'uint8', shape }, autoupload: 'disabled' }
}

async function connect(url: string): Promise<Socket> {
  const client = io(url, { path: '/ws/socket.io', transports: ['websocket'], reconnection: false, forceNew: true })
  await new Promise<void>((resolve, reject) => {
    client.once('connect', resolve)
    client.once('connect_error', reject)
  })
  return client
}

function result(latencies: readonly number[], failed: number, tookMs: number) {
  if (latencies.length === 0) throw new Error(`None of ${failed} requests was answered.`)
  const [p50, p99] = [percentile(latencies, 0.5), percentile(latencies, 0.99)]
  return { rate: latencies.length / (tookMs / 1000), p50, p99, failed }
}
