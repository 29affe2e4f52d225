import { createWriteStream } from 'node:fs'
import { mkdir, open } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { z } from 'zod'
import { removeTree } from '../../src/base/files.js'
import { zipStream } from '../../src/base/zip/zip.js'
import { createRandom } from '../../src/mock/loop/generator/random.js'
import { type Bench, compare, type Figure, type FigureLine } from '../figure.js'
import { type MeasuredChild, startOurs } from '../parts/measured-child.js'
import { LIBRARY, startLibrary } from '../parts/python-library.js'
import { MODEL_FORMAT, MODEL_ID } from '../parts/stub-names.js'
import { startStubLoop } from '../parts/stub-process.js'

const answerSchema = z.object({ seconds: z.number() })
const MIB = 2 ** 20

/** Time and memory for large models, down (with unpacking) and up. */
export const models: Figure = { name: 'models', title: 'Large models, down and unpacked, and up', measure }

async function* measure(bench: Bench): AsyncGenerator<FigureLine> {
  for (const mib of bench.quick ? [4] : [300, 1024]) {
    const folder = join(bench.folder, String(mib))
    const model = await prepareModel(folder, mib, bench.seed)
    const stub = await startStubLoop({ images: [], zip: model.zip })
    try {
      yield* measureSize(bench, mib, { folder, host: stub.host, file: model.file })
    } finally {
      await stub.end()
      await removeTree(folder)
    }
  }
}

type Place = { readonly folder: string; readonly host: string; readonly file: string }
type Row = { readonly seconds: number[]; readonly memoryMb: number[] }

async function* measureSize(bench: Bench, mib: number, place: Place): AsyncGenerator<FigureLine> {
  const start = {
    ours: () => startOurs(new URL('../programs/move-model', import.meta.url), [place.host]),
    library: () => startLibrary('move_model.py', { dataFolder: join(place.folder, 'cwd'), host: place.host }),
  }
  const target = join(place.folder, 'target')
  for (const [way, task] of [['down', { down: target }] as const, ['up', { up: place.file }] as const]) {
    const rows = { ours: emptyRow(), library: emptyRow() }
    for (let run = 1; run <= bench.runs; run++) {
      for (const who of ['ours', 'library'] as const) {
        bench.say(`${mib} MiB ${way}, run ${run} of ${bench.runs}: ${who}`)
        // A process of its own each time: memory that an earlier transfer has left would hide that of the next.
        await moveOnce(await start[who](), task, rows[who])
        await removeTree(target)
      }
    }
    const pair = (key: keyof Row) => ({ ours: rows.ours[key], other: { name: LIBRARY, values: rows.library[key] } })
    const name = `models.${mib}-mib.${way}`
    yield compare({ name: `${name}.time`, unit: 's', better: 'lower', ...pair('seconds') })
    yield compare({ name: `${name}.peak-memory`, unit: 'MiB', better: 'lower', ...pair('memoryMb') })
  }
}

function emptyRow(): Row {
  return { seconds: [], memoryMb: [] }
}

async function moveOnce(child: MeasuredChild, task: object, row: Row): Promise<void> {
  try {
    const { answer, peakOverIdleBytes } = await child.run(task, answerSchema)
    row.seconds.push(answer.seconds)
    row.memoryMb.push(peakOverIdleBytes / MIB)
  } finally {
    await child.end()
  }
}

/** A file of seeded noise, which nothing can compress, and the Loop's zip of it. */
async function prepareModel(folder: string, mib: number, seed: number) {
  await mkdir(join(folder, 'source'), { recursive: true })
  const file = join(folder, 'source/model.bin')
  const zip = join(folder, 'model.zip')
  const random = createRandom(`model/${seed}`)
  const block = Buffer.alloc(MIB)
  for (let at = 0; at < MIB; at += 4) block.writeUInt32LE(Math.floor(random.next() * 2 ** 32), at)
  const output = await open(file, 'w')
  for (let index = 0; index < mib; index++) {
    block.writeUInt32LE(index, 0)
    await output.write(block)
  }
  await output.close()
  const names = { organization: 'o', project: 'p', version: '1.1', id: MODEL_ID, format: MODEL_FORMAT }
  const modelJson = JSON.stringify({ host: 'stub', ...names, categories: [], resolution: null })
  const entries = [
    { name: 'model.bin', path: file },
    { name: 'model.json', data: modelJson },
  ]
  await pipeline(zipStream(entries, { compress: false }), createWriteStream(zip))
  return { file, zip }
}
