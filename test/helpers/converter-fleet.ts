import { mkdir, mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { removeTree } from '../../src/base/files.js'
import { silentLogger } from '../../src/base/logger/logger.js'
import { zipStream } from '../../src/base/zip/zip.js'
import { type LocalLoop, startLocalLoop } from '../../src/mock/loop/index.js'
import { type Conversions, createConversions } from '../../src/queue/conversions/conversions.js'
import { startRedisServer } from '../../src/queue/embedded-redis/redis-server.js'
import { createQueues, type Queues } from '../../src/queue/jobs/queues.js'
import { openRedis } from '../../src/queue/redis/open-redis.js'
import { type CliExit, type CliProcess, runCli, startCli } from './cli-process.js'
import { FLEET_VARIABLE, killAll, processesWith } from './fleet-processes.js'
import { until } from './until.js'

const DEMO = ['zauberzeug', 'demo'] as const
const INHERITED = ['PATH', 'HOME', 'LANG', 'TMPDIR', 'NODE_V8_COVERAGE'] as const

/** A converter file of the fixtures. */
export function converterFile(name: string): string {
  return fileURLToPath(new URL(`../fixtures/converters/${name}/converter.yaml`, import.meta.url))
}

/** Redis and local Loop in this process, converters and workers as real processes of the compiled program. */
export type ConverterFleet = {
  readonly folder: string
  readonly loop: LocalLoop
  readonly queues: Queues
  readonly conversions: Conversions
  /** A person's upload of a zip with these files; answers the model's id. */
  upload(files: Readonly<Record<string, string | Uint8Array>>, format?: string): Promise<string>
  /** The formats of a model, as the Loop lists them. */
  formats(id: string): readonly string[]
  /** Waits until the model has the format. */
  untilFormat(id: string, format: string, withinMs?: number): Promise<void>
  /** Text of a file of a model's format, as any node would download it. */
  download(id: string, format: string): Promise<Buffer>
  /** How often the Loop took this format of the model. */
  uploads(id: string, format: string): number
  /** Starts a part: `converter FILE …` or `worker …`, each on a data folder of its own unless told otherwise. */
  start(...args: [string, ...string[]]): Promise<CliProcess>
  /** Any command, to its end. */
  run(...args: [string, ...string[]]): Promise<CliExit & { readonly output: string }>
  /** The programs that were started for this fleet and live; no preflights. */
  programs(): Promise<number[]>
  close(): Promise<void>
}

export async function startConverterFleet(env: Readonly<Record<string, string>> = {}): Promise<ConverterFleet> {
  const folder = await mkdtemp(join(tmpdir(), 'loopfleet-converters-'))
  const log = silentLogger()
  await mkdir(join(folder, 'logs'))
  const redis = await startRedisServer({ folder: join(folder, 'redis') }, { log })
  const loop = await startLocalLoop({ folder: join(folder, 'loop') }, { log })
  const link = await openRedis(env.REDIS_URL ?? redis.url, { log })
  const queues = createQueues(link, { log })
  const conversions = createConversions(link, {}, { log })
  const parts: CliProcess[] = []
  let count = 0

  const programs = (isCounted: (workspace: string) => boolean) =>
    processesWith('LOOPFLEET_WORKSPACE', (path) => path.startsWith(`${folder}/`) && isCounted(path))

  function cli(args: [string, ...string[]]) {
    count += 1
    const inherited = INHERITED.flatMap((name) => {
      const value = process.env[name]
      return value === undefined ? [] : [[name, value] as const]
    })
    return {
      args,
      logFile: join(folder, 'logs', `${String(count).padStart(2, '0')}-${args[0]}.log`),
      env: {
        ...Object.fromEntries(inherited),
        [FLEET_VARIABLE]: folder,
        REDIS_URL: redis.url,
        LOOP_HOST: loop.host,
        DATA_FOLDER: join(folder, 'data'),
        LOOPFLEET_LOG_LEVEL: 'debug',
        ...env,
      },
    }
  }

  async function hasFormat(id: string, format: string): Promise<boolean> {
    const failed = await conversions.list({ failedOnly: true })
    const ours = failed.find(({ order }) => order.modelId === id && order.targetFormat === format)
    if (ours !== undefined) throw new Error(`Its conversion failed: ${ours.failure?.message}`)
    // A format is shown a moment before its upload is counted.
    return fleet.formats(id).includes(format) && fleet.uploads(id, format) > 0
  }

  const fleet: ConverterFleet = {
    folder,
    loop,
    queues,
    conversions,
    async upload(files, format = 'format_a') {
      const zip = await buffer(zipStream(Object.entries(files).map(([name, data]) => ({ name, data }))))
      const body = new FormData()
      body.append('files', new Blob([new Uint8Array(zip)]), 'my_model.zip')
      const response = await fetch(`${loop.url}/api/${DEMO[0]}/projects/${DEMO[1]}/${format}`, { method: 'POST', body })
      const answer = (await response.json()) as { id: string }
      if (!response.ok) throw new Error(JSON.stringify(answer))
      return answer.id
    },
    formats: (id) => loop.models(...DEMO).find((model) => model.id === id)?.formats ?? [],
    async untilFormat(id, format, withinMs = 30_000) {
      await until(`model ${id} has ${format}`, () => hasFormat(id, format), withinMs).catch(async (error: unknown) => {
        const records = JSON.stringify(await conversions.list(), null, 1)
        const logs = await Promise.all(parts.map((part) => part.log()))
        throw new Error(
          `${error}\n${records}\n${logs.map((text) => text.split('\n').slice(-15).join('\n')).join('\n---\n')}`,
        )
      })
    },
    async download(id, format) {
      const response = await fetch(`${loop.url}/api/${DEMO[0]}/projects/${DEMO[1]}/models/${id}/${format}/file`)
      if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`)
      return Buffer.from(await response.arrayBuffer())
    },
    uploads: (id, format) =>
      loop.effects({ kind: 'converted-model' }).filter(({ key }) => key === `${DEMO.join('/')}/${id}/${format}`).length,
    async start(...args) {
      const started = await startCli(cli(args))
      parts.push(started)
      return started
    },
    run: (...args) => runCli(cli(args)),
    programs: async () => programs((path) => !path.includes('/preflight/')),
    async close() {
      await Promise.all(parts.filter((part) => !part.hasExited).map((part) => part.end()))
      await queues.close()
      await link.close()
      await loop.close()
      await redis.close()
      const left = await until('no program is left', async () => (await programs(() => true)).length === 0, 3000).then(
        () => [],
        () => programs(() => true),
      )
      killAll(left)
      await removeTree(folder)
      if (left.length > 0) throw new Error(`Programs of conversions were left behind: ${left.join(', ')}.`)
    },
  }
  return fleet
}
