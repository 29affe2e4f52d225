import { mkdir, mkdtemp, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { removeTree } from '../../src/base/files.js'
import { silentLogger } from '../../src/base/logger/logger.js'
import { zipStream } from '../../src/base/zip/zip.js'
import { type LocalLoop, startLocalLoop } from '../../src/mock/loop/index.js'
import { type CliProcess, startCli } from './cli-process.js'
import { until } from './until.js'

export const ORGANIZATION = 'zauberzeug'
export const PROJECT = 'edge'

export type EdgeOptions = {
  readonly dialect?: '0.8' | 'current'
  /** More arguments of the command. */
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** The arguments that say where it listens; a free port by default. */
  readonly listen?: readonly string[]
  /** Waits until the first model is loaded; on by default. */
  readonly waitForModel?: boolean
  /** Whether the Loop has a model to deploy when the first detector starts; on by default. */
  readonly deploys?: boolean
}

export type ModelFile = { readonly name: string; readonly data: string | Uint8Array }

/** A local Loop with a real ONNX model, and a detector as a real process of the compiled program. */
export type Edge = {
  readonly loop: LocalLoop
  readonly folder: string
  /** Data folder of the detector. */
  readonly data: string
  /** The detector that runs now. */
  readonly detector: CliProcess
  readonly url: string
  /** Uploads the model once more, as the next version, with more or other files if given; answers its id. */
  addModel(files?: readonly ModelFile[]): Promise<{ readonly id: string; readonly version: string }>
  /** Starts a detector on the same data folder, after the one before has ended. */
  start(options?: EdgeOptions): Promise<CliProcess>
  /** Stops the Loop, or starts it again at the same address. */
  stopLoop(): Promise<void>
  startLoop(): Promise<void>
  about(): Promise<{ readonly [key: string]: unknown }>
  /** Waits until this version answers. */
  untilModel(version: string): Promise<void>
  close(): Promise<void>
}

const INHERITED = ['PATH', 'HOME', 'LANG', 'TMPDIR', 'NODE_V8_COVERAGE'] as const

/** Objects are what is red: 64x48 cells of 8, everything from a confidence of 0.25 on. */
const DECODER = { layout: 'grid', input: { width: 64, height: 48 }, stride: 8, threshold: 0.25, nms_iou: 0.5 }

export async function startEdge(options: EdgeOptions = {}): Promise<Edge> {
  const folder = await mkdtemp(join(tmpdir(), 'loopfleet-edge-'))
  const log = silentLogger()
  const logs = join(folder, 'logs')
  const data = join(folder, 'detector')
  await mkdir(logs)
  let loop = await startLocalLoop({ folder: join(folder, 'loop') }, { log })
  await loop.generate({ organization: ORGANIZATION, project_name: PROJECT, complete: 1, box_categories: 2 })
  const port = Number(new URL(loop.url).port)
  let detector: CliProcess | undefined
  let starts = 0

  async function addModel(files: readonly ModelFile[] = []) {
    const body = new FormData()
    body.append('files', new Blob([new Uint8Array(await modelZip(files))]), 'model.zip')
    const path = `/api/${ORGANIZATION}/projects/${PROJECT}/onnx`
    const answer = await fetch(`${loop.url}${path}`, { method: 'POST', body })
    const { id, version }: { id: string; version: string } = JSON.parse(await answer.text())
    return { id, version }
  }

  async function start(options: EdgeOptions = {}) {
    const { dialect = 'current', args = [], env = {}, listen = ['--port', '0'], waitForModel = true } = options
    starts += 1
    const inherited = INHERITED.flatMap((name) => {
      const value = process.env[name]
      return value === undefined ? [] : [[name, value] as const]
    })
    const started = await startCli({
      args: ['detector', '--data', data, ...listen, '--threads', '1', ...args],
      env: {
        ...Object.fromEntries(inherited),
        LOOP_HOST: `127.0.0.1:${port}`,
        LOOP_ORGANIZATION: ORGANIZATION,
        LOOP_PROJECT: PROJECT,
        LOOP_PROTOCOL: dialect,
        LOOPFLEET_LOG_LEVEL: 'debug',
        ...env,
      },
      logFile: join(logs, `detector-${starts}.log`),
    })
    detector = started
    if (waitForModel) await untilLoaded()
    return started
  }

  function running(): CliProcess {
    if (detector === undefined) throw new Error('no detector was started')
    return detector
  }

  const url = () => String(running().facts.url)
  const about = async () => JSON.parse(await (await fetch(`${url()}/about`)).text())
  const versionOf = async () => (await about()).model_info?.version

  async function untilLoaded(): Promise<void> {
    await until('a model is loaded', async () => (await versionOf()) !== undefined, 30_000).catch(async (error) => {
      throw new Error(`${error}\n${(await running().log()).split('\n').slice(-15).join('\n')}`)
    })
  }

  async function close(): Promise<void> {
    if (detector !== undefined && !detector.hasExited) await detector.end()
    await loop.close()
    await removeTree(folder)
  }

  const edge: Edge = {
    get loop() {
      return loop
    },
    folder,
    data,
    get detector() {
      return running()
    },
    get url() {
      return url()
    },
    addModel,
    start,
    stopLoop: () => loop.close(),
    async startLoop() {
      loop = await startLocalLoop({ folder: join(folder, 'loop'), port }, { log })
    },
    about,
    async untilModel(version) {
      await until(`model ${version} answers`, async () => (await versionOf()) === version, 30_000)
    },
    close,
  }
  try {
    if (options.deploys !== false) await loop.setTarget(ORGANIZATION, PROJECT, (await addModel()).id)
    await start(options)
    return edge
  } catch (error) {
    await close()
    throw error
  }
}

async function modelZip(files: readonly ModelFile[]): Promise<Buffer> {
  const model = await readFile(fileURLToPath(new URL('../fixtures/onnx/red-is-an-object.onnx', import.meta.url)))
  const entries = [
    { name: 'model.onnx', data: model },
    { name: 'decoder.json', data: JSON.stringify(DECODER) },
  ]
  const usual = entries.filter(({ name }) => files.every((file) => file.name !== name))
  return await buffer(zipStream([...usual, ...files]))
}
