import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { silentLogger } from '../../src/base/logger/logger.js'
import { zipStream } from '../../src/base/zip/zip.js'
import { startRedisServer } from '../../src/queue/embedded-redis/redis-server.js'
import { startPythonNode } from '../../test/contract/python-node.js'
import { startCli } from '../../test/helpers/cli-process.js'
import { until } from '../../test/helpers/until.js'
import { type Bench, compare, type Figure, type FigureLine } from '../figure.js'
import { type LoopProcess, startLoop } from '../parts/loop-process.js'
import { basicEnvironment } from '../parts/measured-child.js'
import { interpreterOf, nameOf } from '../parts/python-library.js'

const VERSION = '0.8.2'
const PROJECT = 'zauberzeug/projects/small'
const NO_OP = fileURLToPath(new URL('../converters/no-op.yaml', import.meta.url))
const SCRIPT = new URL('../../test/contract/python-nodes/small_converter_0_8_2.py', import.meta.url)

/** A pass of a converter over many models, with a conversion that does next to nothing. */
export const converter: Figure = { name: 'converter', title: 'Converter pass, no-op conversion', measure }

async function* measure(bench: Bench): AsyncGenerator<FigureLine> {
  const models = bench.size(50, 5)
  const ours: number[] = []
  const library: number[] = []
  for (let run = 1; run <= bench.runs; run++) {
    bench.say(`${models} models, run ${run} of ${bench.runs}`)
    library.push(await passOf(bench, `library-${run}`, models, startLibraryConverter))
    ours.push(await passOf(bench, `ours-${run}`, models, startOurs))
  }
  const other = { name: nameOf(VERSION), values: library }
  yield compare({ name: `converter.${models}-models`, unit: 's', better: 'lower', ours, other })
}

type Start = (folder: string, loop: LoopProcess) => Promise<() => Promise<void>>

/**
 * Seconds from the first model's new format at the Loop to the last one's, and one conversion more in proportion: the
 * start of the processes does not count.
 */
async function passOf(bench: Bench, name: string, models: number, start: Start): Promise<number> {
  const folder = join(bench.folder, name)
  await mkdir(folder, { recursive: true })
  const loop = await startLoop(join(folder, 'loop'), { images: 3, seed: bench.seed })
  try {
    for (let index = 0; index < models; index++) await upload(loop)
    const converted = async () => (await loop.effects()).filter(({ kind, key }) => isOurs(kind, key))
    const end = await start(folder, loop)
    try {
      const effects = await until(
        `${models} models converted`,
        async () => {
          const seen = await converted()
          return seen.length >= models ? seen : undefined
        },
        300_000,
      )
      const times = effects.map(({ time }) => time)
      return (((Math.max(...times) - Math.min(...times)) / 1000) * models) / (models - 1)
    } finally {
      await end()
    }
  } finally {
    await loop.end()
  }
}

function isOurs(kind: string, key: string): boolean {
  return kind === 'converted-model' && key.startsWith('zauberzeug/small/')
}

async function upload(loop: LoopProcess): Promise<void> {
  const zip = await buffer(zipStream([{ name: 'file_1.txt', data: 'content of file one' }]))
  const body = new FormData()
  body.append('files', new Blob([new Uint8Array(zip)]), 'model.zip')
  const response = await fetch(`http://${loop.host}/api/${PROJECT}/mocked`, { method: 'POST', body })
  if (!response.ok) throw new Error(`The Loop took no model: ${await response.text()}`)
}

async function startOurs(folder: string, loop: LoopProcess): Promise<() => Promise<void>> {
  const redis = await startRedisServer({ folder: join(folder, 'redis') }, { log: silentLogger() })
  const env = { ...basicEnvironment(), REDIS_URL: redis.url, LOOP_HOST: loop.host, DATA_FOLDER: join(folder, 'data') }
  const started = await startCli({
    args: ['converter', NO_OP, '--gpus', 'none'],
    env,
    logFile: join(folder, 'converter.log'),
  })
  return async () => {
    await started.end()
    await redis.close()
  }
}

async function startLibraryConverter(folder: string, loop: LoopProcess): Promise<() => Promise<void>> {
  const interpreter = await interpreterOf(VERSION)
  const data = join(folder, 'data')
  await mkdir(data)
  const env = { LOOP_HOST: loop.host, LOOP_USERNAME: 'ada', LOOP_PASSWORD: 'lovelace' }
  const node = startPythonNode({ interpreter, script: SCRIPT, args: [data], env, cwd: data })
  return () => node.end()
}
