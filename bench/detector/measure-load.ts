import { z } from 'zod'
import { type Bench, compare, type FigureLine } from '../figure.js'
import { type MeasuredChild, startOurs } from '../parts/measured-child.js'
import { memoryOf, resetPeak } from '../parts/proc.js'
import type { DetectorLoop } from './loop.js'
import type { DetectorSide } from './sides.js'

const answerSchema = z.object({ rate: z.number(), p50: z.number(), p99: z.number(), failed: z.literal(0) })
const MIB = 2 ** 20
export const CONNECTIONS = [1, 8, 32] as const

export type LoadKind = 'rest' | 'socket-jpeg' | 'socket-raw'
type Row = { rate: number[]; p50: number[]; p99: number[]; memoryMib: number[] }
export type Rows = Record<(typeof CONNECTIONS)[number], Row>

/** A side under load: how it is called in the figures, how it is started, and how clients speak to it. */
export type LoadedSide = {
  readonly name: string
  readonly start: () => Promise<DetectorSide>
  readonly kind: LoadKind
}

/** Loads the sides in turns, each in a fresh process per run, so that what drifts on the machine touches all alike. */
export async function measureLoad(
  bench: Bench,
  loop: DetectorLoop,
  sides: readonly LoadedSide[],
): Promise<ReadonlyMap<string, Rows>> {
  const rows = new Map(sides.map(({ name }) => [name, emptyRows()]))
  const client = await startOurs(new URL('../programs/load', import.meta.url))
  try {
    for (let run = 1; run <= bench.runs; run++) {
      for (const side of sides) {
        bench.say(`run ${run} of ${bench.runs}: ${side.name}`)
        await loadOnce(bench, loop, side, { client, rows: rows.get(side.name) ?? emptyRows() })
      }
    }
  } finally {
    await client.end()
  }
  return rows
}

type Into = { readonly client: MeasuredChild; readonly rows: Rows }

async function loadOnce(bench: Bench, loop: DetectorLoop, { start, kind }: LoadedSide, { client, rows }: Into) {
  const { url, pid, end } = await start()
  try {
    const task = { kind, url, file: loop.imageFile }
    await client.run({ ...task, connections: 8, seconds: bench.size(2, 0.3) }, answerSchema) // warm
    for (const connections of CONNECTIONS) {
      await resetPeak(pid)
      const { answer } = await client.run({ ...task, connections, seconds: bench.size(6, 0.4) }, answerSchema)
      rows[connections].rate.push(answer.rate)
      rows[connections].p50.push(answer.p50)
      rows[connections].p99.push(answer.p99)
      rows[connections].memoryMib.push((await memoryOf(pid)).peakBytes / MIB)
    }
  } finally {
    await end()
  }
}

/** Rate, p50, p99 and the peak of memory at each number of connections. */
export function* compareRows(
  name: string,
  ours: Rows,
  other: { readonly name: string; readonly rows: Rows },
): Generator<FigureLine> {
  for (const connections of CONNECTIONS) {
    const [mine, theirs] = [ours[connections], other.rows[connections]]
    const at = `${name}.${connections}`
    const pair = (key: keyof Row) => ({ ours: mine[key], other: { name: other.name, values: theirs[key] } })
    yield compare({ name: `${at}.rate`, unit: '1/s', better: 'higher', ...pair('rate') })
    yield compare({ name: `${at}.p50`, unit: 'ms', better: 'lower', ...pair('p50') })
    yield compare({ name: `${at}.p99`, unit: 'ms', better: 'lower', ...pair('p99') })
    yield compare({ name: `${at}.memory`, unit: 'MiB', better: 'lower', ...pair('memoryMib') })
  }
}

function emptyRows(): Rows {
  const row = (): Row => ({ rate: [], p50: [], p99: [], memoryMib: [] })
  return { 1: row(), 8: row(), 32: row() }
}
