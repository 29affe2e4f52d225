import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { removeTree } from '../../src/base/files.js'
import { silentLogger } from '../../src/base/logger.js'
import { type LocalLoop, startLocalLoop } from '../../src/mock/loop/index.js'
import type { OrderAnswer } from '../../src/mock/loop/trainings/orders.js'
import { pythonEnvironment } from '../helpers/python-environment.js'
import { type PythonNode, startPythonNode } from './python-node.js'
import { tapWire, type WireTap } from './wire-tap.js'

export const ORGANIZATION = 'zauberzeug'
export const PROJECT = 'shapes'
export const IMAGE_COUNT = 25
const CREDENTIALS = { username: 'ada', password: 'lovelace' }
const TRAINING_MS = 90_000

export type Release = {
  readonly version: string
  /** Part of the names of its trainer and requirements. */
  readonly name: string
  /** Release 0.8.2 has its data folder as a variable of the program, later ones as one of the environment. */
  readonly dataFolderBy: 'argument' | 'environment'
}

/** One training ordered by a local Loop at a trainer written with the Python library, and all that was seen of it. */
export type PythonTraining = {
  readonly loop: LocalLoop
  readonly tap: WireTap
  readonly interpreter: string
  readonly order: OrderAnswer
  readonly dataFolder: string
  /** Asks the local Loop's REST API, logged in; throws unless it answers with success. */
  ask(path: string): Promise<Response>
  remove(): Promise<void>
}

/** Makes the environment, starts Loop and trainer, orders a training and waits until it is over. */
export async function runPythonTraining(release: Release, request: Record<string, unknown>): Promise<PythonTraining> {
  const interpreter = await environmentOf(release)
  const folder = await mkdtemp(join(tmpdir(), 'loopfleet-python-'))
  const loop = await startLocalLoop({ folder: join(folder, 'loop'), ...CREDENTIALS }, { log: silentLogger() })
  await loop.generate({
    project_name: PROJECT,
    complete: 16,
    review: 3,
    annotate: 2,
    inbox: 4,
    box_categories: 2,
    point_categories: 1,
  })
  const tap = await tapWire(loop.host)
  const dataFolder = join(folder, 'data')
  const node = startTrainer(release, interpreter, tap.host, folder)
  const remove = async () => {
    await node.end()
    await tap.close()
    await loop.close()
    await removeTree(folder)
  }
  try {
    const order = await untilEnded(loop, node, request)
    return { loop, tap, interpreter, order, dataFolder, ask: await login(loop.url), remove }
  } catch (error) {
    await remove()
    throw error
  }
}

/** The interpreter that has this release of the library. */
export function environmentOf({ version, name }: Release): Promise<string> {
  const requirements = new URL(`./python-nodes/requirements-${name}.txt`, import.meta.url)
  return pythonEnvironment(`learning_loop_node ${version}`, requirements)
}

function startTrainer(release: Release, interpreter: string, host: string, folder: string): PythonNode {
  const dataFolder = join(folder, 'data')
  const login = { LOOP_USERNAME: CREDENTIALS.username, LOOP_PASSWORD: CREDENTIALS.password }
  const byEnvironment = release.dataFolderBy === 'environment'
  return startPythonNode({
    interpreter,
    script: new URL(`./python-nodes/small_trainer_${release.name.replaceAll('.', '_')}.py`, import.meta.url),
    args: byEnvironment ? [] : [dataFolder],
    env: { LOOP_HOST: host, ...login, ...(byEnvironment ? { DATA_FOLDER: dataFolder } : {}) },
    cwd: folder,
  })
}

async function untilEnded(loop: LocalLoop, node: PythonNode, request: Record<string, unknown>): Promise<OrderAnswer> {
  const gone = new AbortController()
  void node.exited.then(() => gone.abort(new Error('The trainer has exited.')))
  const signal = AbortSignal.any([AbortSignal.timeout(TRAINING_MS), gone.signal])
  try {
    await loop.until(() => loop.nodes().find(({ type, state }) => type === 'trainer' && state === 'idle'), { signal })
    const order = await loop.orderTraining(ORGANIZATION, PROJECT, request)
    const ended = () => loop.training(ORGANIZATION, PROJECT, order.training_number)?.ended
    await loop.until(ended, { signal })
    return order
  } catch (error) {
    throw new Error(`The training did not end. The trainer's last words:\n${node.lastLines()}`, { cause: error })
  }
}

async function login(url: string): Promise<PythonTraining['ask']> {
  const { headers } = await fetch(`${url}/api/login`, { method: 'POST', body: new URLSearchParams(CREDENTIALS) })
  const [cookie = ''] = headers.getSetCookie().map((line) => line.split(';')[0])
  return async (path) => {
    const response = await fetch(`${url}${path}`, { headers: { cookie } })
    if (!response.ok) throw new Error(`${path} was answered with ${response.status}.`)
    return response
  }
}
