import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { removeTree } from '../../src/base/files.js'
import { until } from '../../test/helpers/until.js'
import { type Bench, compare, type Figure, type FigureLine } from '../figure.js'
import { startFleet } from '../parts/fleet-process.js'
import { LARGE, type LoopProcess, ORGANIZATION, SMALL, startLoop, untilIdle } from '../parts/loop-process.js'
import { LIBRARY, startLibraryNode } from '../parts/python-library.js'

const TRAINING_MS = 300_000
/** The one in the middle shows what grows with the images. */
const SIZES = [3, 200, 2000] as const

/** From the order of a training that trains nothing to the last thing it does at the Loop. */
export const order: Figure = { name: 'order', title: 'Order to last effect, no-op trainer', measure }

/** Seconds of one training: to the last effect, and until the Loop shows the trainer idle again. */
type Took = { readonly effect: number; readonly idle: number }
type Side = {
  /** The first training of fresh processes, of three images. */
  readonly first: Took
  readonly later: readonly Took[]
}

async function* measure(bench: Bench): AsyncGenerator<FigureLine> {
  for (const images of bench.quick ? [3] : SIZES) {
    const ours = await measureOurs(bench, images)
    const library = await measureLibrary(bench, images)
    const pair = (key: keyof Took) => ({
      ours: ours.later.map((took) => took[key]),
      other: { name: LIBRARY, values: library.later.map((took) => took[key]) },
    })
    if (images === 3) {
      const other = { name: LIBRARY, values: [library.first.effect] }
      yield compare({ name: 'order.first-ever', unit: 's', better: 'lower', ours: [ours.first.effect], other })
    }
    yield compare({ name: `order.${images}-images`, unit: 's', better: 'lower', ...pair('effect') })
    yield compare({ name: `order.${images}-images.idle-shown`, unit: 's', better: 'lower', ...pair('idle') })
  }
}

async function measureOurs(bench: Bench, images: number): Promise<Side> {
  const folder = join(bench.folder, `ours-${images}`)
  const loop = await startLoop(join(folder, 'loop'), { images, seed: bench.seed })
  try {
    const fleet = await startFleet({ folder: join(folder, 'fleet'), host: loop.host, withWorker: true })
    try {
      return await trainOften(bench, loop, { who: `ours, ${images} images`, dataFolder: fleet.dataFolder })
    } finally {
      await fleet.end()
    }
  } finally {
    await loop.end()
  }
}

async function measureLibrary(bench: Bench, images: number): Promise<Side> {
  const folder = join(bench.folder, `library-${images}`)
  const loop = await startLoop(join(folder, 'loop'), { images, seed: bench.seed })
  const dataFolder = join(folder, 'data')
  try {
    const node = await startLibraryNode('noop_trainer.py', { dataFolder, host: loop.host })
    try {
      return await trainOften(bench, loop, { who: `${LIBRARY}, ${images} images`, dataFolder })
    } finally {
      await node.end()
    }
  } finally {
    await loop.end()
  }
}

/** One training with three images, then the measured ones, each of which has to fetch all of its images. */
async function trainOften(
  bench: Bench,
  loop: LoopProcess,
  { who, dataFolder }: { readonly who: string; readonly dataFolder: string },
): Promise<Side> {
  await untilIdle(loop, 1)
  const first = await train(loop, SMALL)
  const later: Took[] = []
  for (let run = 1; run <= bench.runs; run++) {
    bench.say(`${who}, run ${run} of ${bench.runs}`)
    await removeTree(join(dataFolder, ORGANIZATION, LARGE, 'images'))
    await untilIdle(loop, 1)
    later.push(await train(loop, LARGE))
  }
  return { first, later }
}

async function train(loop: LoopProcess, project: string): Promise<Took> {
  const orderedAt = Date.now()
  const number = await loop.order(project)
  const ended = await until(
    `training ${project}#${number} has ended`,
    async () => {
      await sleep(100) // the times are the Loop's own; asking more often would only keep it from its work
      const training = await loop.training(project, number)
      return training?.ended ? training : undefined
    },
    TRAINING_MS,
  )
  if (ended.outcome !== 'completed') throw new Error(`It ${ended.outcome}: ${JSON.stringify(ended.errors)}`)
  const lastEffect = Math.max(...(await loop.effects()).map(({ time }) => time))
  return { effect: (lastEffect - orderedAt) / 1000, idle: (Date.parse(String(ended.ended)) - orderedAt) / 1000 }
}
