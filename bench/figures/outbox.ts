import { join } from 'node:path'
import { z } from 'zod'
import { removeTree } from '../../src/base/files.js'
import { type Bench, compare, type Figure, type FigureLine, percentile } from '../figure.js'
import { type MeasuredChild, startOurs } from '../parts/measured-child.js'
import { LIBRARY, startLibrary } from '../parts/python-library.js'
import { drawImages, startStubLoop } from '../parts/stub-process.js'

const answerSchema = z.object({ seconds: z.number(), saveMs: z.array(z.number()) })
type Answer = z.infer<typeof answerSchema>

const ROUND_TRIP_MS = 20
const PER_SECOND = 30
const BARE = 'one file written and synced'

/** How fast waiting images go out to a Loop that is 20 ms away, and how long saving takes while they do. */
export const outbox: Figure = { name: 'outbox', title: `Outbox, 60 KB images, Loop ${ROUND_TRIP_MS} ms away`, measure }

type Side = { readonly start: (folder: string) => Promise<MeasuredChild>; readonly drain: number }
type Row = { readonly rates: number[]; readonly saveMs: number[] }

async function* measure(bench: Bench): AsyncGenerator<FigureLine> {
  const images = await drawImages(join(bench.folder, 'drawn'), bench.size(16, 2), bench.seed)
  const stub = await startStubLoop({ images: [], uploadMs: ROUND_TRIP_MS })
  const place = { LOOP_ORGANIZATION: 'o', LOOP_PROJECT: 'p' }
  const ours: Side = {
    start: () => startOurs(new URL('../programs/outbox', import.meta.url), [stub.host]),
    drain: bench.size(1000, 40),
  }
  const library: Side = {
    start: (dataFolder) => startLibrary('outbox.py', { dataFolder, host: stub.host, env: place }),
    drain: bench.size(100, 20),
  }
  const rows = { ours: row(), library: row(), bare: row() }
  const saving = { images, count: bench.size(600, 30), perSecond: PER_SECOND }
  try {
    for (let run = 1; run <= bench.runs; run += 1) {
      for (const [name, side] of [['ours', ours] as const, ['library', library] as const]) {
        bench.say(`run ${run} of ${bench.runs}: ${name}`)
        const drained = await runTask(bench, side, { images, count: side.drain, perSecond: 0 })
        rows[name].rates.push(side.drain / drained.seconds)
        rows[name].saveMs.push(percentile((await runTask(bench, side, saving)).saveMs, 0.99))
      }
      bench.say(`run ${run} of ${bench.runs}: bare`)
      rows.bare.saveMs.push(percentile((await runTask(bench, ours, { ...saving, isBare: true })).saveMs, 0.99))
    }
  } finally {
    await stub.end()
  }
  const { ours: mine, library: theirs, bare } = rows
  const drain = { unit: '1/s', better: 'higher', ours: mine.rates } as const
  const save = { unit: 'ms', better: 'lower', ours: mine.saveMs } as const
  yield compare({ name: 'outbox.drain', ...drain, other: { name: LIBRARY, values: theirs.rates } })
  yield compare({ name: 'outbox.save-p99', ...save, other: { name: LIBRARY, values: theirs.saveMs } })
  yield compare({ name: 'outbox.save-p99.bare', ...save, other: { name: BARE, values: bare.saveMs } })
}

function row(): Row {
  return { rates: [], saveMs: [] }
}

async function runTask(bench: Bench, side: Side, task: object): Promise<Answer> {
  const folder = join(bench.folder, 'data')
  const child = await side.start(folder)
  try {
    return (await child.run({ ...task, folder: join(folder, 'outbox') }, answerSchema)).answer
  } finally {
    await child.end()
    await removeTree(folder)
  }
}
