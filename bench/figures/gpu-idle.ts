import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { removeTree } from '../../src/base/files.js'
import { until } from '../../test/helpers/until.js'
import { type Bench, compare, type Figure, type FigureLine } from '../figure.js'
import { startFleet } from '../parts/fleet-process.js'
import {
  LARGE,
  type LoopProcess,
  ORGANIZATION,
  type SeenTraining,
  SMALL,
  startLoop,
  untilIdle,
} from '../parts/loop-process.js'

const TRAINING_MS = 120_000
const RUNNING = 'running'

/** How long a slot is free between two trainings, of which the second one fetches its images beside the first. */
export const gpuIdle: Figure = { name: 'gpu-idle', title: 'Slot free between two queued trainings', measure }

async function* measure(bench: Bench): AsyncGenerator<FigureLine> {
  const images = bench.size(2000, 3)
  const loop = await startLoop(join(bench.folder, 'loop'), { images, seed: bench.seed })
  const seconds: number[] = []
  try {
    const options = { folder: join(bench.folder, 'fleet'), host: loop.host, seats: 2, withWorker: true } as const
    const fleet = await startFleet({ ...options, trainer: 'busy' })
    try {
      for (let run = 1; run <= bench.runs; run++) {
        bench.say(`run ${run} of ${bench.runs}`)
        await removeTree(join(fleet.dataFolder, ORGANIZATION, LARGE, 'images'))
        await untilIdle(loop, 2)
        seconds.push(await freeBetweenTwo(loop))
      }
    } finally {
      await fleet.end()
    }
  } finally {
    await loop.end()
  }
  yield compare({ name: `gpu-idle.${images}-images`, unit: 's', better: 'lower', ours: seconds })
}

async function freeBetweenTwo(loop: LoopProcess): Promise<number> {
  const first = await loop.order(SMALL)
  await until('the first program runs', async () => runningSince(await loop.training(SMALL, first)) !== undefined)
  const second = await loop.order(LARGE)
  const before = await ended(loop, SMALL, first)
  const after = await ended(loop, LARGE, second)
  const freeSince = before.history.findLast(({ state }) => state === RUNNING)?.time ?? Number.NaN
  const left = before.history.find(({ time, state }) => time > freeSince && state !== RUNNING)?.time ?? Number.NaN
  return (runningSince(after) ?? Number.NaN) / 1000 - left / 1000
}

function runningSince(training: SeenTraining | undefined): number | undefined {
  return training?.history.find(({ state }) => state === RUNNING)?.time
}

async function ended(loop: LoopProcess, project: string, number: number): Promise<SeenTraining> {
  return await until(
    `training ${project}#${number} has ended`,
    async () => {
      await sleep(100)
      const training = await loop.training(project, number)
      if (training?.ended && training.outcome !== 'completed') throw new Error(`It ${training.outcome}.`)
      return training?.ended ? training : undefined
    },
    TRAINING_MS,
  )
}
