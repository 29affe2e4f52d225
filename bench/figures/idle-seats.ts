import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Bench, compare, type Figure, type FigureLine } from '../figure.js'
import { startFleet } from '../parts/fleet-process.js'
import { startLoop, untilIdle } from '../parts/loop-process.js'
import { cpuSecondsOf, memoryOf, proportionalMemoryOf } from '../parts/proc.js'
import { LIBRARY, type LibraryNode, startLibraryNode } from '../parts/python-library.js'

const MIB = 2 ** 20
/** So many nodes of the library are started; memory and CPU of more follow from theirs, since each is a process. */
const LIBRARY_NODES = 3

/** Memory and CPU of trainer identities that have nothing to do. */
export const idleSeats: Figure = { name: 'seats', title: 'Idle trainer identities', measure }

/** Of one or several processes together. */
type Idle = {
  /** VmRSS, in which pages that processes share count for each. */
  readonly residentMib: number
  /** PSS, in which they count once. */
  readonly proportionalMib: number
  readonly cpuPercent: number
}

async function* measure(bench: Bench): AsyncGenerator<FigureLine> {
  const library = await repeat(bench, (run) => measureLibrary(bench, run))
  for (const seats of bench.quick ? [1, 3] : [1, 20, 1000]) {
    const ours = await repeat(bench, (run) => measureOurs(bench, seats, run))
    const times = seats <= 20 ? seats / LIBRARY_NODES : undefined
    const note = seats === LIBRARY_NODES ? '' : `, ${seats} reckoned from ${LIBRARY_NODES}`
    const line = (name: string, unit: string, key: keyof Idle, part: 'node' | 'fleet') => {
      const values = library.map((idle) => idle[key] * (times ?? 0))
      const other = times === undefined ? undefined : { name: `${LIBRARY}${note}`, values }
      return compare({ name, unit, better: 'lower', ours: ours.map((both) => both[part][key]), other })
    }
    const name = `seats.${seats}`
    yield line(`${name}.memory`, 'MiB', 'residentMib', 'node')
    yield line(`${name}.memory-shared-once`, 'MiB', 'proportionalMib', 'node')
    yield line(`${name}.cpu`, '%', 'cpuPercent', 'node')
    yield line(`${name}.with-worker-and-redis.memory`, 'MiB', 'residentMib', 'fleet')
    yield line(`${name}.with-worker-and-redis.cpu`, '%', 'cpuPercent', 'fleet')
  }
}

async function repeat<T>(bench: Bench, once: (run: number) => Promise<T>): Promise<T[]> {
  const results: T[] = []
  for (let run = 1; run <= bench.runs; run++) results.push(await once(run))
  return results
}

async function measureOurs(bench: Bench, seats: number, run: number) {
  bench.say(`ours, ${seats} seats, run ${run} of ${bench.runs}`)
  const folder = join(bench.folder, `ours-${seats}-${run}`)
  const loop = await startLoop(join(folder, 'loop'), { images: 3, seed: bench.seed })
  const fleet = await startFleet({ folder: join(folder, 'fleet'), host: loop.host, seats, withWorker: true })
  try {
    await untilIdle(loop, seats, 300_000)
    const others = [fleet.redisPid, fleet.worker?.pid ?? 0]
    const [node, rest] = await Promise.all([watch(bench, [fleet.trainer.pid]), watch(bench, others)])
    return { node, fleet: sum(node, rest) }
  } finally {
    await fleet.end()
    await loop.end()
  }
}

async function measureLibrary(bench: Bench, run: number): Promise<Idle> {
  bench.say(`${LIBRARY}, run ${run} of ${bench.runs}`)
  const folder = join(bench.folder, `library-${run}`)
  const loop = await startLoop(join(folder, 'loop'), { images: 3, seed: bench.seed })
  const nodes: LibraryNode[] = []
  try {
    for (let index = 0; index < LIBRARY_NODES; index++) {
      const dataFolder = join(folder, `data-${index}`)
      nodes.push(await startLibraryNode('noop_trainer.py', { dataFolder, host: loop.host }))
    }
    await untilIdle(loop, LIBRARY_NODES)
    return await watch(
      bench,
      nodes.map(({ pid }) => pid),
    )
  } finally {
    await Promise.all(nodes.map((node) => node.end()))
    await loop.end()
  }
}

/** Lets the processes settle, then watches them over several heart-beats. */
async function watch(bench: Bench, pids: readonly number[]): Promise<Idle> {
  await sleep(bench.size(5000, 200))
  const cpu = async () => total(await Promise.all(pids.map(cpuSecondsOf)))
  const before = await cpu()
  const startedAt = performance.now()
  await sleep(bench.size(30_000, 1000))
  const seconds = (performance.now() - startedAt) / 1000
  return {
    cpuPercent: (100 * ((await cpu()) - before)) / seconds,
    residentMib: total(await Promise.all(pids.map(async (pid) => (await memoryOf(pid)).nowBytes))) / MIB,
    proportionalMib: total(await Promise.all(pids.map(proportionalMemoryOf))) / MIB,
  }
}

function sum(a: Idle, b: Idle): Idle {
  return {
    residentMib: a.residentMib + b.residentMib,
    proportionalMib: a.proportionalMib + b.proportionalMib,
    cpuPercent: a.cpuPercent + b.cpuPercent,
  }
}

function total(values: readonly number[]): number {
  return values.reduce((all, value) => all + value, 0)
}
