import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { type Bench, compare, type Figure, type FigureLine } from '../figure.js'
import { type MeasuredChild, startOurs } from '../parts/measured-child.js'
import { LIBRARY, startLibrary } from '../parts/python-library.js'
import { idsUpTo } from '../parts/stub-names.js'

const answerSchema = z.object({ seconds: z.number(), available: z.int() })

/** How long it takes to find out that none of many images is missing on disk. */
export const missingImages: Figure = { name: 'missing', title: 'Finding the missing images', measure }

async function* measure(bench: Bench): AsyncGenerator<FigureLine> {
  const ours = await startOurs(new URL('../programs/find-missing', import.meta.url))
  const library = await startLibrary('fetch_images.py', { dataFolder: join(bench.folder, 'cwd'), host: '127.0.0.1:9' })
  try {
    for (const count of [bench.size(20_000, 500), bench.size(60_000, 1500)]) {
      const folder = join(bench.folder, String(count))
      await fill(join(folder, 'o/p/images'), count)
      for (const child of [ours, library]) await secondsFor(child, folder, count) // the kernel reads the folder
      const rows = { ours: [] as number[], library: [] as number[] }
      for (let run = 1; run <= bench.runs; run++) {
        rows.ours.push(await secondsFor(ours, folder, count))
        rows.library.push(await secondsFor(library, folder, count))
      }
      const other = { name: LIBRARY, values: rows.library }
      yield compare({ name: `missing.${count}`, unit: 's', better: 'lower', ours: rows.ours, other })
    }
  } finally {
    await Promise.all([ours.end(), library.end()])
  }
}

async function fill(folder: string, count: number): Promise<void> {
  await mkdir(folder, { recursive: true })
  for (const id of idsUpTo(count)) await writeFile(join(folder, `${id}.jpg`), '')
}

async function secondsFor(child: MeasuredChild, folder: string, count: number): Promise<number> {
  const { answer } = await child.run({ folder, count }, answerSchema)
  if (answer.available !== count) throw new Error(`${answer.available} of ${count} images were found on disk.`)
  return answer.seconds
}
