import { z } from 'zod'
import type { Bench } from '../figure.js'
import { startOurs } from '../parts/measured-child.js'
import type { DetectorLoop } from './loop.js'

/** What the machine could do at best, over the runs: JPEGs decoded, a model run, or both, on all cores. */
export async function rateOnAllCores(
  bench: Bench,
  loop: Pick<DetectorLoop, 'imageFile' | 'modelFile'>,
  kind: 'decode' | 'model' | 'decode-and-model',
): Promise<number[]> {
  const task = { kind, image: loop.imageFile, model: loop.modelFile, seconds: bench.size(6, 0.3) }
  const child = await startOurs(new URL('../programs/all-cores', import.meta.url))
  const rates: number[] = []
  try {
    for (let run = 1; run <= bench.runs; run++) {
      const { answer } = await child.run(task, z.object({ rate: z.number() }))
      rates.push(answer.rate)
    }
  } finally {
    await child.end()
  }
  return rates
}
