import { join } from 'node:path'
import { z } from 'zod'
import { silentLogger } from '../../src/base/logger/logger.js'
import { startRedisServer } from '../../src/queue/embedded-redis/redis-server.js'
import { type Bench, compare, type Figure, type FigureLine } from '../figure.js'
import { startOurs } from '../parts/measured-child.js'

const answerSchema = z.object({ seconds: z.number() })
const BARE = 'bare BullMQ jobs'

/** What the queues and the journal add to the time of one training, beside its bare BullMQ jobs. */
export const queueCost: Figure = { name: 'queue', title: 'Queue cost of one training, all its jobs', measure }

type Row = { readonly timeMs: number[]; readonly cpuMs: number[] }

async function* measure(bench: Bench): AsyncGenerator<FigureLine> {
  const redis = await startRedisServer({ folder: join(bench.folder, 'redis') }, { log: silentLogger() })
  const child = await startOurs(new URL('../programs/queue-cost', import.meta.url), [redis.url])
  const count = bench.size(300, 5)
  const rows = { pipeline: emptyRow(), queues: emptyRow(), bare: emptyRow() }
  try {
    for (const chain of ['pipeline', 'queues', 'bare'] as const) {
      await child.run({ chain, count: bench.size(50, 1) }, answerSchema) // warms up
    }
    for (let run = 1; run <= bench.runs; run++) {
      for (const chain of ['pipeline', 'queues', 'bare'] as const) {
        bench.say(`run ${run} of ${bench.runs}: ${chain}`)
        const { answer, cpuSeconds } = await child.run({ chain, count }, answerSchema)
        rows[chain].timeMs.push((answer.seconds * 1000) / count)
        rows[chain].cpuMs.push((cpuSeconds * 1000) / count)
      }
    }
  } finally {
    await child.end()
    await redis.close()
  }
  const line = (name: string, key: keyof Row, ours: Row) =>
    compare({ name, unit: 'ms', better: 'lower', ours: ours[key], other: { name: BARE, values: rows.bare[key] } })
  yield line('queue.training.time', 'timeMs', rows.pipeline)
  yield line('queue.training.cpu', 'cpuMs', rows.pipeline)
  yield line('queue.jobs-only.time', 'timeMs', rows.queues)
  yield line('queue.jobs-only.cpu', 'cpuMs', rows.queues)
}

function emptyRow(): Row {
  return { timeMs: [], cpuMs: [] }
}
