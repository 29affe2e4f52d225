import { join } from 'node:path'
import { z } from 'zod'
import { silentLogger } from '../../src/base/logger.js'
import type { TrainingOrder } from '../../src/loop/protocol/index.js'
import { createJournal } from '../../src/queue/journal.js'
import { openRedis, type RedisLink } from '../../src/queue/open-redis.js'
import { type Claim, createLeases } from '../../src/queue/records/leases.js'
import { createRecords, type Records } from '../../src/queue/records/records.js'
import { startRedisServer } from '../../src/queue/redis-server.js'
import { type Bench, compare, type Figure, type FigureLine } from '../figure.js'

const JOURNAL = 'the journal'
const HELD = 50
const PAGE = 100

/** Many records beside as many of the journal: what a host and a list do with them. */
export const records: Figure = { name: 'records', title: 'Records beside the journal, 100,000 of each', measure }

const order: Omit<TrainingOrder, 'trainingNumber'> = {
  dialect: 'current',
  organization: 'acme',
  project: 'pets',
  categories: [],
  baseModel: { kind: 'none' },
  modelVariant: '',
  hyperparameters: {},
}
type Payload = { readonly order: string }
const payload: z.ZodType<Payload> = z.object({ order: z.string() })
const own = { host: 'a', incarnation: 'a1', leaseMs: 30_000 }

async function* measure(bench: Bench): AsyncGenerator<FigureLine> {
  const log = silentLogger()
  const redis = await startRedisServer({ folder: join(bench.folder, 'redis') }, { log })
  const link = await openRedis(redis.url, { log })
  try {
    const ours = createRecords(link, { kind: 'training', schema: payload })
    const theirs = createJournal(link)
    const count = bench.size(100_000, 500)
    const text = JSON.stringify({ ...order, trainingNumber: 1 })
    bench.say(`${count} records of each`)
    const bytes = { ours: await memoryOf(link), theirs: 0 }
    await inBatches(
      count,
      async (index) => void (await ours.create({ id: `t${index}`, name: 'yolo', payload: { order: text } })),
    )
    bytes.ours = (await memoryOf(link)) - bytes.ours
    bytes.theirs = await memoryOf(link)
    const ids: string[] = []
    await inBatches(count, async (index) => {
      const accepted = await theirs.accept({
        order: { ...order, trainingNumber: index },
        trainer: 'yolo',
        seat: { uuid: `u${index}`, name: 's' },
      })
      if (accepted.outcome !== 'refused') ids[index] = accepted.training.id
    })
    bytes.theirs = (await memoryOf(link)) - bytes.theirs

    const rows = new Map<string, { ours: number[]; theirs: number[] }>()
    const row = (name: string) => {
      const known = rows.get(name) ?? { ours: [], theirs: [] }
      rows.set(name, known)
      return known
    }
    for (let run = 0; run <= bench.runs; run++) {
      bench.say(run === 0 ? 'warms up' : `run ${run} of ${bench.runs}`)
      const first = run * HELD
      const claims: Claim[] = []
      row('claim').ours.push(await msOf(HELD, async (at) => void claims.push(await claim(ours, `t${first + at}`))))
      row('claim').theirs.push(
        await msOf(HELD, async (at) => void (await theirs.take(ids[first + at] ?? '', { hostId: 'a', workerPid: 1 }))),
      )
      const leases = createLeases(link, own)
      row('renew-50').ours.push(await msOf(20, async () => void (await leases.renew(claims))))
      row('renew-50').theirs.push(
        await msOf(20, async () => {
          await Promise.all(ids.slice(first, first + HELD).map((id) => theirs.compareRun(id, 1, 'a')))
        }),
      )
      const offsets = [0, count / 2, count - PAGE].map(Math.floor)
      row('page').ours.push(
        await msOf(30, async (at) => void (await ours.list({ limit: PAGE, offset: offsets[at % 3] }))),
      )
      row('page').theirs.push(
        await msOf(30, async (at) => void (await theirs.list({ limit: PAGE, offset: offsets[at % 3] }))),
      )
      row('waiting-page').ours.push(await msOf(30, async () => void (await ours.waiting(['yolo'], { limit: PAGE }))))
    }
    for (const [name, all] of rows) {
      const [mine, others] = [all.ours.slice(1), all.theirs.slice(1)]
      const other = others.length === 0 ? {} : { other: { name: JOURNAL, values: others } }
      yield compare({ name: `records.${name}`, unit: 'ms', better: 'lower', ours: mine, ...other })
    }
    const other = { name: JOURNAL, values: [bytes.theirs / count] }
    yield compare({ name: 'records.memory', unit: 'bytes', better: 'lower', ours: [bytes.ours / count], other })
  } finally {
    await link.close()
    await redis.close()
  }
}

async function claim(records: Records<Payload>, id: string): Promise<Claim> {
  const answer = await records.claim({ id, version: 1 }, own)
  if (answer.outcome !== 'claimed') throw new Error(`${id}: ${answer.outcome}`)
  return answer.claim
}

async function inBatches(count: number, work: (index: number) => Promise<void>): Promise<void> {
  for (let from = 0; from < count; from += 1000) {
    await Promise.all(Array.from({ length: Math.min(1000, count - from) }, (_, at) => work(from + at)))
  }
}

/** Milliseconds of one of them, one after the other. */
async function msOf(times: number, work: (at: number) => Promise<void>): Promise<number> {
  const startedAt = performance.now()
  for (let at = 0; at < times; at++) await work(at)
  return (performance.now() - startedAt) / times
}

async function memoryOf({ client }: RedisLink): Promise<number> {
  return Number(/used_memory:(\d+)/.exec(await client.info('memory'))?.[1])
}
