import { join } from 'node:path'
import { type Closers, LoopfleetError, removeTree } from '../../base/index.js'
import { hostEnvironment } from '../../config/index.js'
import type { CliContext } from '../context.js'
import { type Part, startPart } from '../parts.js'
import type { ProgressView } from './show-progress.js'

export type DemoDeps = {
  readonly context: CliContext
  readonly view: ProgressView
  readonly closers: Closers
  /** Called when a part ends, also when the demo ends it. */
  readonly onPartEnded: (error: LoopfleetError) => void
}

export type Parts = Readonly<Record<'loop' | 'redis' | 'trainer' | 'worker' | 'dashboard', Part>> & {
  /** Starts one more command of this program against the demo's Loop; its data lie in a folder of its name. */
  start(name: string, args: readonly string[], env?: Readonly<Record<string, string>>): Promise<Part>
  /** Those that were started so, in turn. */
  readonly more: readonly Part[]
}

// Neither the account of a real Loop nor a shell's own HOST and USERNAME may reach the demo's parts.
const NO_LOOP = { LOOP_USERNAME: '', LOOP_PASSWORD: '', HOST: '', USERNAME: '', PASSWORD: '' }
/** The demo's trainer node stays until the demo is over, whatever a shell has set for another one. */
const STAYS = { RESTART_AFTER_TRAINING: '', TRAINER_IDLE_TIMEOUT_SEC: '' }
const FOLDERS = ['loop', 'redis', 'node', 'host', 'converter', 'detector', 'annotator', 'logs']

export type PartsOptions = { readonly folder: string; readonly seed: number; readonly trainer: string }

/** Everything a training needs, each as a process of its own that ends with the demo. */
export async function startParts(options: PartsOptions, deps: DemoDeps): Promise<Parts> {
  const { context, view, closers, onPartEnded } = deps
  const { folder, seed, trainer: file } = options
  for (const name of FOLDERS) await removeTree(join(folder, name))
  const logFolder = join(folder, 'logs')
  const inherited = Object.fromEntries(Object.entries(hostEnvironment()).filter(isSet))
  const { log, signal } = context
  const others: Promise<Part>[] = []
  const start = async (name: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) => {
    const onWaiting = (reason: string) => view.say(`  ${name} waits: ${reason}`)
    const starting = startPart({ name, args, env: { ...inherited, ...env }, logFolder }, { log, signal, onWaiting })
    if (name === 'redis') closers.add(name, () => endPart(starting))
    else others.push(starting)
    const part = await starting
    void part.program.exited.then(() => onPartEnded(endedPart(part)))
    view.say(`  ${name} is up`)
    return part
  }
  view.say('Starting a Loop, Redis, a trainer node, a worker and the dashboard on this machine …')
  const redis = await start('redis', ['--data', folder])
  // Side by side, since all of them have to end within the same 9 s; Redis, to which they say goodbye, ends after them.
  closers.add('parts', () => Promise.all(others.map(endPart)))
  const loop = await start('loop', ['--port', '0', '--data', join(folder, 'loop'), '--seed', String(seed)])
  const env = { ...NO_LOOP, ...STAYS, REDIS_URL: fact(redis, 'url'), LOOP_HOST: fact(loop, 'host') }
  const [trainer, worker, dashboard] = await Promise.all([
    start('trainer', [file, '--data', join(folder, 'node')], env),
    start('worker', ['--trainer', file, '--data', join(folder, 'host'), '--places', '1'], env),
    start('dashboard', ['--port', '0'], env),
  ])
  const more: Part[] = []
  return {
    ...{ loop, redis, trainer, worker, dashboard, more },
    async start(name, args, extra) {
      const part = await start(name, [...args, '--data', join(folder, name)], { ...env, ...extra })
      more.push(part)
      return part
    },
  }
}

/** One that does not become ready ends by itself. */
async function endPart(starting: Promise<Part>): Promise<void> {
  const part = await starting.catch(() => undefined)
  await part?.program.end()
}

function endedPart({ name, program }: Part): LoopfleetError {
  const last = program.lastLines().findLast((line) => line.trim() !== '') ?? 'it printed nothing'
  return new LoopfleetError('LF_DEMO_FAILED', `The ${name} has ended: ${last}`)
}

/** The facts of the ready line of a part. */
export function fact(part: Part, name: string): string {
  const value = part.facts[name]
  if (typeof value === 'string') return value
  throw new LoopfleetError('LF_PART_NOT_STARTED', `The ${part.name} did not tell its ${name}.`)
}

function isSet(entry: [string, string | undefined]): entry is [string, string] {
  return entry[1] !== undefined
}
