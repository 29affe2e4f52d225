import { z } from 'zod'
import type { Bench } from '../figure.js'
import { startOurs } from '../parts/measured-child.js'

/** What the machine could do at best, over the runs: JPEGs decoded, or a model run, on all cores. */
export async function rateOnAllCores(bench: Bench, kind: 'decode' | 'model', file: string): Promise<number[]> {
  const child = await startOurs(new URL('../programs/all-cores', import.meta.url))
  const rates: number[] = []
  try {
    for (let run = 1; run <= bench.runs; run++) {
      const { answer } = await child.run({ kind, file, seconds: bench.size(6, 0.3) }, z.object({ rate: z.number() }))
      rates.push(answer.rate)
    }
  } finally {
    await child.end()
  }
  return rates
}
