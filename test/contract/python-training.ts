import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { removeTree } from '../../src/base/files.js'
import { silentLogger } from '../../src/base/logger/logger.js'
import { type LocalLoop, startLocalLoop } from '../../src/mock/loop/index.js'
import type { OrderAnswer } from '../../src/mock/loop/trainings/orders.js'
import { preparedPython } from '../helpers/python-environments.js'
import { type PythonNode, startPythonNode } from './python-node.js'
import { tapWire, type WireTap } from './wire-tap.js'

export const ORGANIZATION = 'zauberzeug'
export const PROJECT = 'shapes'
export const IMAGE_COUNT = 25
const CREDENTIALS = { username: 'ada', password: 'lovelace' }
const TRAINING_MS = 90_000

export type Release = {
  readonly version: '0.8.2' | '0.27.0'
  /** Part of the names of its programs. */
  readonly name: string
  /** Release 0.8.2 has its data folder as a variable of the program, later ones as one of the environment. */
  readonly dataFolderBy: 'argument' | 'environment'
}

/** A local Loop with a project, and a node written with the Python library that talks to it. */
export type PythonNodeAtLoop = {
  readonly loop: LocalLoop
  readonly tap: WireTap
  readonly node: PythonNode
  readonly interpreter: string
  readonly dataFolder: string
  /** Asks the local Loop's REST API, logged in; throws unless it answers with success. */
  ask(path: string, init?: { readonly method: string; readonly body: string }): Promise<Response>
  remove(): Promise<void>
}

/** One training ordered by a local Loop at a trainer written with the library, and all that was seen of it. */
export type PythonTraining = PythonNodeAtLoop & { readonly order: OrderAnswer }

/** Makes the environment, starts Loop and trainer, orders a training and waits until it is over. */
export async function runPythonTraining(release: Release, request: Record<string, unknown>): Promise<PythonTraining> {
  const trainer = await startPythonNodeAtLoop(release, { kind: 'trainer' })
  try {
    return { ...trainer, order: await untilEnded(trainer, request) }
  } catch (error) {
    await trainer.remove()
    throw error
  }
}

export type NodeChoice = {
  readonly kind: 'trainer' | 'converter' | 'detector' | 'annotator'
  /** Name of its program, where one serves all releases. */
  readonly script?: string
  readonly env?: Readonly<Record<string, string>>
}

/** Makes the environment and starts Loop and node; does not wait until the node has been heard of. */
export async function startPythonNodeAtLoop(release: Release, choice: NodeChoice): Promise<PythonNodeAtLoop> {
  const { kind, env, script = `small_${kind}_${release.name.replaceAll('.', '_')}` } = choice
  const interpreter = await environmentOf(release)
  const folder = await mkdtemp(join(tmpdir(), 'loopfleet-python-'))
  const loop = await startLocalLoop({ folder: join(folder, 'loop'), ...CREDENTIALS }, { log: silentLogger() })
  const counts = { complete: 16, review: 3, annotate: 2, inbox: 4 }
  await loop.generate({ project_name: PROJECT, ...counts, box_categories: 2, point_categories: 1 })
  const tap = await tapWire(loop.host)
  const dataFolder = join(folder, 'data')
  const node = startPythonNode({
    interpreter,
    script: new URL(`./python-nodes/${script}.py`, import.meta.url),
    args: release.dataFolderBy === 'argument' ? [dataFolder] : [],
    env: { ...environment(release, tap.host, dataFolder), ...env },
    cwd: folder,
  })
  const remove = async () => {
    await node.end()
    await tap.close()
    await loop.close()
    await removeTree(folder)
  }
  return { loop, tap, node, interpreter, dataFolder, ask: await login(loop.url), remove }
}

/** The interpreter that has this release of the library. */
export function environmentOf({ version }: Release): Promise<string> {
  return preparedPython(`learning_loop_node ${version}`)
}

function environment({ dataFolderBy }: Release, host: string, dataFolder: string): Record<string, string> {
  const login = { LOOP_USERNAME: CREDENTIALS.username, LOOP_PASSWORD: CREDENTIALS.password }
  return { LOOP_HOST: host, ...login, ...(dataFolderBy === 'environment' ? { DATA_FOLDER: dataFolder } : {}) }
}

async function untilEnded(trainer: PythonNodeAtLoop, request: Record<string, unknown>): Promise<OrderAnswer> {
  const { loop } = trainer
  await untilSeen(trainer, () => loop.nodes().find(({ type, state }) => type === 'trainer' && state === 'idle'))
  const order = await loop.orderTraining(ORGANIZATION, PROJECT, request)
  await untilSeen(trainer, () => loop.training(ORGANIZATION, PROJECT, order.training_number)?.ended)
  return order
}

/** Waits until the Loop has seen it; a node that exits or takes too long is an error with its last words. */
export async function untilSeen<T>({ loop, node }: PythonNodeAtLoop, check: () => T | undefined | null): Promise<T> {
  const gone = new AbortController()
  void node.exited.then(() => gone.abort(new Error('The node has exited.')))
  try {
    return await loop.until(check, { signal: AbortSignal.any([AbortSignal.timeout(TRAINING_MS), gone.signal]) })
  } catch (error) {
    throw new Error(`It did not come to it. The node's last words:\n${node.lastLines()}`, { cause: error })
  }
}

async function login(url: string): Promise<PythonTraining['ask']> {
  const { headers } = await fetch(`${url}/api/login`, { method: 'POST', body: new URLSearchParams(CREDENTIALS) })
  const [cookie = ''] = headers.getSetCookie().map((line) => line.split(';')[0])
  return async (path, init) => {
    const headers = { cookie, ...(init !== undefined && { 'content-type': 'application/json' }) }
    const response = await fetch(`${url}${path}`, { ...init, headers })
    if (!response.ok) throw new Error(`${path} was answered with ${response.status}.`)
    return response
  }
}
