import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { silentLogger } from '../../src/base/logger/logger.js'
import { createRandom } from '../../src/mock/loop/generator/random.js'
import { openRedis } from '../../src/queue/redis/open-redis.js'
import { createTrainings } from '../../src/queue/trainings/trainings.js'
import { until } from '../../test/helpers/until.js'
import { type Bench, compare, type Figure, type FigureLine, percentile } from '../figure.js'
import { startFleet } from '../parts/fleet-process.js'
import { type LoopProcess, SMALL, startLoop, untilIdle } from '../parts/loop-process.js'
import { LIBRARY, startLibraryNode } from '../parts/python-library.js'

/** From a change of a training's progress to its arrival at the Loop. */
export const statusLatency: Figure = { name: 'status', title: 'Status at the Loop after a change', measure }

type Change = { readonly progress: number; readonly time: number }

async function* measure(bench: Bench): AsyncGenerator<FigureLine> {
  const ours: number[][] = []
  const library: number[][] = []
  for (let run = 1; run <= bench.runs; run++) {
    bench.say(`run ${run} of ${bench.runs}`)
    ours.push(await measureOurs(bench, run))
    library.push(await measureLibrary(bench, run))
  }
  for (const [name, share] of [['p50', 0.5] as const, ['p95', 0.95] as const]) {
    const of = (rows: readonly number[][]) => rows.map((row) => percentile(row, share))
    const other = { name: LIBRARY, values: of(library) }
    yield compare({ name: `status.${name}`, unit: 'ms', better: 'lower', ours: of(ours), other })
  }
}

/** The training stays without a worker: the bench itself writes what a worker would into its record. */
async function measureOurs(bench: Bench, run: number): Promise<number[]> {
  const folder = join(bench.folder, `ours-${run}`)
  const loop = await startLoop(join(folder, 'loop'), { images: 3, seed: bench.seed })
  const fleet = await startFleet({ folder: join(folder, 'fleet'), host: loop.host, withWorker: false })
  const link = await openRedis(fleet.redisUrl, { log: silentLogger() })
  try {
    await untilIdle(loop, 1)
    const number = await loop.order(SMALL)
    const { records } = createTrainings(link, {}, { log: silentLogger() })
    const [training] = (await records.list({ limit: 1 })).records
    if (training === undefined) throw new Error('There is no training.')
    const claimed = await records.claim(training, { host: 'bench', incarnation: 'bench', leaseMs: 86_400_000 })
    if (claimed.outcome !== 'claimed') throw new Error(`The training is not claimed: ${claimed.outcome}.`)
    await records.update(claimed.claim, { state: 'running', progress: 0 })
    const random = createRandom(`status/${bench.seed}/${run}`)
    const changes: Change[] = []
    for (let index = 1; index <= bench.size(200, 10); index++) {
      await sleep(random.range(20, 120))
      const change = { progress: index / 1000, time: Date.now() }
      await records.update(claimed.claim, { progress: change.progress })
      changes.push(change)
    }
    return await latencies(loop, number, changes)
  } finally {
    await link.close()
    await fleet.end()
    await loop.end()
  }
}

async function measureLibrary(bench: Bench, run: number): Promise<number[]> {
  const folder = join(bench.folder, `library-${run}`)
  const dataFolder = join(folder, 'data')
  const loop = await startLoop(join(folder, 'loop'), { images: 3, seed: bench.seed })
  const random = createRandom(`status/${bench.seed}/${run}`)
  // Longer than a heart-beat, or a change is overtaken by the next before it is seen.
  const gaps = Array.from({ length: bench.size(12, 1) }, () => random.range(5.5, 10.5))
  const node = await startLibraryNode('progressing_trainer.py', {
    dataFolder,
    host: loop.host,
    env: { GAPS: gaps.map((gap) => gap.toFixed(3)).join(',') },
  })
  try {
    await untilIdle(loop, 1)
    const number = await loop.order(SMALL)
    const longestMs = 1000 * (gaps.reduce((sum, gap) => sum + gap, 0) + 30)
    const changes = await until(
      'the trainer has made its progress',
      async () => {
        const found = await readChanges(join(dataFolder, 'changes.jsonl'))
        return found.length === gaps.length && found
      },
      longestMs,
    )
    return await latencies(loop, number, changes)
  } finally {
    await node.end()
    await loop.end()
  }
}

async function latencies(loop: LoopProcess, number: number, changes: readonly Change[]): Promise<number[]> {
  return await until('the Loop has seen the last change', async () => {
    const history = (await loop.training(SMALL, number))?.history ?? []
    if (!history.some(({ progress }) => progress === changes.at(-1)?.progress)) return undefined
    // Something newer is as good: of two changes in quick succession only the second may be told.
    return changes.map(({ progress, time }) => {
      const seen = history.find((entry) => entry.progress !== null && entry.progress >= progress)
      return Math.max(0, (seen?.time ?? Number.NaN) - time)
    })
  })
}

async function readChanges(path: string): Promise<Change[]> {
  const text = await readFile(path, 'utf8').catch(() => '') // not written yet
  const schema = z.object({ progress: z.number(), time: z.number() })
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => schema.parse(JSON.parse(line)))
}
