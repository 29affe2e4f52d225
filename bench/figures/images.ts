import { execFile } from 'node:child_process'
import { readdir, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { z } from 'zod'
import { hasJpeginfo } from '../../src/loop/client/images/jpeginfo.js'
import { type Bench, compare, type Figure, type FigureLine } from '../figure.js'
import { type MeasuredChild, startOurs } from '../parts/measured-child.js'
import { LIBRARY, startLibrary } from '../parts/python-library.js'
import { drawImages, startStubLoop } from '../parts/stub-process.js'

const answerSchema = z.object({ seconds: z.number() })
const DIFFERENT_IMAGES = 64
/** The most that our client has under way at a Loop that keeps up. */
const CONCURRENCY = 32
const BARE = `bare axios, ${CONCURRENCY} connections`

/** Images a second, CPU per image and memory for a whole project of images from a server in its own process. */
export const images: Figure = { name: 'images', title: 'Image download, 60 KB each', offDisk: true, measure }

type Row = { readonly rates: number[]; readonly cpuMs: number[]; readonly memoryMb: number[] }
type Side = {
  readonly start: () => Promise<MeasuredChild>
  readonly task: object
  /** Where it puts the images, below the folder it is given. */
  readonly files: string
  readonly row: Row
}

async function* measure(bench: Bench): AsyncGenerator<FigureLine> {
  const count = bench.size(5000, 100)
  if (!(await hasJpeginfo())) bench.say('jpeginfo is not installed: nobody checks images by it')
  const drawn = await drawImages(join(bench.folder, 'drawn'), bench.size(DIFFERENT_IMAGES, 4), bench.seed)
  const stub = await startStubLoop({ images: drawn })
  const ours = () => startOurs(new URL('../programs/fetch-images', import.meta.url), [stub.host])
  const bare = () => startOurs(new URL('../programs/bare-fetch', import.meta.url), [stub.host])
  const place = { dataFolder: join(bench.folder, 'cwd'), host: stub.host }
  const library = () => startLibrary('fetch_images.py', place)
  const sides = {
    checked: side(ours, { useJpeginfo: true }, 'o/p/images'),
    unchecked: side(ours, { useJpeginfo: false }, 'o/p/images'),
    library: side(library, {}, 'o/p/images'),
    bare: side(bare, { concurrency: CONCURRENCY }, '.'),
  }
  try {
    for (let run = 1; run <= bench.runs; run++) {
      for (const [name, each] of rotated(Object.entries(sides), run - 1)) {
        bench.say(`run ${run} of ${bench.runs}: ${name}`)
        await fetchAll(each, count, join(bench.folder, `fetched-${name}-${run}`))
      }
    }
  } finally {
    await stub.end()
  }
  yield* lines('images.checked', sides.checked.row, LIBRARY, sides.library.row)
  yield* lines('images.checked.bare', sides.checked.row, BARE, sides.bare.row)
  yield* lines('images.structure-only.bare', sides.unchecked.row, BARE, sides.bare.row)
}

function side(start: Side['start'], task: object, files: string): Side {
  return { start, task, files, row: { rates: [], cpuMs: [], memoryMb: [] } }
}

/** Each run begins with another side, so that what one leaves to the next (a warm cache, a busy disk) touches all alike. */
function rotated<T>(all: readonly T[], by: number): readonly T[] {
  const first = by % all.length
  return [...all.slice(first), ...all.slice(0, first)]
}

/** In a process of its own, so that what an earlier download has left in memory hides nothing of this one. */
async function fetchAll({ start, task, files, row }: Side, count: number, folder: string): Promise<void> {
  const child = await start()
  try {
    const { answer, cpuSeconds, peakOverIdleBytes } = await child.run({ ...task, folder, count }, answerSchema)
    const there = (await readdir(join(folder, files))).filter((name) => name.endsWith('.jpg')).length
    if (there !== count) throw new Error(`${there} of ${count} images came.`)
    row.rates.push(count / answer.seconds)
    row.cpuMs.push((cpuSeconds * 1000) / count)
    row.memoryMb.push(peakOverIdleBytes / 2 ** 20)
  } finally {
    await child.end()
    await letDiskRest(join(folder, files))
  }
}

/**
 * Frees what the files take and waits for the disk. The empty files stay until the figure is done: where a thousand were
 * just removed, ext4 without a journal looks at each of them for every new one, which costs the next side more than all else.
 */
async function letDiskRest(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => [])
  for (const name of names) if (name.endsWith('.jpg')) await truncate(join(folder, name))
  await promisify(execFile)('sync', ['-f', folder]).catch(() => undefined)
}

function* lines(name: string, ours: Row, otherName: string, other: Row): Generator<FigureLine> {
  const pair = (mine: readonly number[], theirs: readonly number[]) => ({
    ours: mine,
    other: { name: otherName, values: theirs },
  })
  yield compare({ name: `${name}.rate`, unit: '1/s', better: 'higher', ...pair(ours.rates, other.rates) })
  yield compare({ name: `${name}.cpu`, unit: 'ms', better: 'lower', ...pair(ours.cpuMs, other.cpuMs) })
  yield compare({ name: `${name}.peak-memory`, unit: 'MiB', better: 'lower', ...pair(ours.memoryMb, other.memoryMb) })
}
