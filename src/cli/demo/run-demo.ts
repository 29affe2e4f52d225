import { join, resolve } from 'node:path'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { LoopfleetError } from '../../base/errors.js'
import { removeTree } from '../../base/files.js'
import { hostEnvironment } from '../../config/load.js'
import { lockFolder } from '../../process/folder-lock.js'
import { createClosers, whenAborted } from '../closers.js'
import { openFleetLink } from '../compose/fleet-link.js'
import { type CliContext, openContext } from '../context.js'
import { type Part, startPart } from '../parts.js'
import { createLoopControl, type LoopControl } from './loop-control.js'
import { createProgressView, type ProgressView } from './show-progress.js'
import { type DemoSummary, type Evaluation, summaryLines, toSummary } from './summary.js'

export type DemoFlags = {
  readonly json: boolean
  readonly keep: boolean
  readonly data: string
  readonly seed: number
  readonly trainer: string
  readonly steps?: number
  readonly short: boolean
}

/** The example trainer of the repository, three folders above this module once compiled. */
export const exampleTrainer = fileURLToPath(
  new URL('../../../../examples/shapes-trainer/trainer.yaml', import.meta.url),
)

const PROJECT = 'shapes'
const IMAGES = { complete: 240, inbox: 40, train_share: 2 / 3, box_categories: 4, box_annotations: 4 }

/** The whole of loopfleet on this machine: starts everything, trains once, and reads back from the Loop what came of it. */
export async function runDemo(flags: DemoFlags): Promise<void> {
  const context = openContext({ quiet: true })
  const closers = createClosers(context.log)
  const view = createProgressView()
  try {
    const folder = resolve(flags.data)
    const lock = await lockFolder(folder, 'demo')
    closers.add('folder lock', () => lock.release())
    const parts = await startParts(folder, flags, { context, view, closers })
    const { summary, evaluation } = await trainOnce(parts, flags, { context, view, closers })
    view.stop()
    for (const line of summaryLines(summary, evaluation)) view.say(line)
    if (flags.json) process.stdout.write(`${JSON.stringify(summary)}\n`)
    if (!summary.ok) process.exitCode = 1
    if (flags.keep) {
      view.say(`\nAll is left running until Ctrl-C:\n${addressLines(parts).join('\n')}`)
      await whenAborted(context.signal)
    }
  } catch (error) {
    view.stop()
    if (!context.signal.aborted) throw error
    process.exitCode = 130
  } finally {
    await closers.closeAll()
  }
}

// Neither the account of a real Loop nor a shell's own HOST and USERNAME may reach the demo's parts.
const NO_LOOP = { LOOP_USERNAME: '', LOOP_PASSWORD: '', HOST: '', USERNAME: '', PASSWORD: '' }
/** The demo's trainer node stays until the demo is over, whatever a shell has set for another one. */
const STAYS = { RESTART_AFTER_TRAINING: '', TRAINER_IDLE_TIMEOUT_SEC: '' }

type DemoDeps = {
  readonly context: CliContext
  readonly view: ProgressView
  readonly closers: ReturnType<typeof createClosers>
}

type Parts = Readonly<Record<'loop' | 'redis' | 'trainer' | 'worker' | 'dashboard', Part>>

async function startParts(folder: string, flags: DemoFlags, { context, view, closers }: DemoDeps): Promise<Parts> {
  for (const name of ['loop', 'redis', 'node', 'host', 'logs']) await removeTree(join(folder, name))
  const logFolder = join(folder, 'logs')
  const inherited = Object.fromEntries(Object.entries(hostEnvironment()).filter(isSet))
  const start = async (name: string, args: string[], env: Record<string, string> = {}) => {
    const part = await startPart({ name, args, env: { ...inherited, ...env }, logFolder }, { log: context.log })
    closers.add(name, () => part.program.end())
    view.say(`  ${name} is up`)
    return part
  }
  view.say('Starting a Loop, Redis, a trainer node, a worker and the dashboard on this machine …')
  const redis = await start('redis', ['--data', folder])
  const loop = await start('loop', ['--port', '0', '--data', join(folder, 'loop'), '--seed', String(flags.seed)])
  const env = { ...NO_LOOP, ...STAYS, REDIS_URL: fact(redis, 'url'), LOOP_HOST: fact(loop, 'host') }
  const [trainer, worker, dashboard] = await Promise.all([
    start('trainer', [flags.trainer, '--data', join(folder, 'node')], env),
    start('worker', ['--trainer', flags.trainer, '--data', join(folder, 'host'), '--places', '1'], env),
    start('dashboard', ['--port', '0'], env),
  ])
  return { loop, redis, trainer, worker, dashboard }
}

async function trainOnce(parts: Parts, flags: DemoFlags, deps: DemoDeps) {
  const { context, view } = deps
  const { signal } = context
  const control = createLoopControl(fact(parts.loop, 'url'), (ms) => sleep(ms, undefined, { signal }))
  view.say(`\nDrawing ${IMAGES.complete + IMAGES.inbox} images with known boxes …`)
  await control.generate({ project_name: PROJECT, ...IMAGES, seed: flags.seed })
  const node = await control.waitForTrainer(signal)
  const startedAt = performance.now()
  const hyperparameters = { ...(flags.short ? { short: true } : {}), ...(flags.steps ? { steps: flags.steps } : {}) }
  const number = await control.order(PROJECT, { trainer: node, hyperparameters })
  view.say(`\nThe Loop has ordered training ${number} of project ${PROJECT}.`)
  await follow(control, number, node, deps)
  const seconds = (performance.now() - startedAt) / 1000
  const training = await control.training(PROJECT, number)
  const evaluation = await control.evaluation(PROJECT, training.models[0]?.version ?? '')
  const nodeState = await control.nodeState(node)
  const stages = await stageSeconds(parts, deps)
  return { summary: toSummary({ nodeState, training, evaluation, stages, seconds }), evaluation } satisfies {
    summary: DemoSummary
    evaluation: Evaluation
  }
}

async function follow(control: LoopControl, number: number, node: string, { context, view }: DemoDeps): Promise<void> {
  for (;;) {
    context.signal.throwIfAborted()
    const training = await control.training(PROJECT, number)
    const errors = Object.values(training.errors)
    view.show(training.state, training.progress, errors.length > 0 ? `(${errors.join('; ')})` : '')
    if (training.ended !== null && (await control.nodeState(node)) === 'idle') return
    await sleep(500, undefined, { signal: context.signal })
  }
}

/** Seconds per step, as the journal has them. */
async function stageSeconds(parts: Parts, { context, closers }: DemoDeps): Promise<Record<string, number>> {
  const environment = { ...context.environment, REDIS_URL: fact(parts.redis, 'url') }
  const { journal } = await openFleetLink({ ...context, environment }, closers)
  const [training] = await journal.list({ limit: 1 })
  const steps = Object.entries(training?.steps ?? {}).sort(([, a], [, b]) => a.at - b.at)
  return Object.fromEntries(steps.map(([stage, step]) => [stage, Math.round(step.seconds * 100) / 100]))
}

function addressLines(parts: Parts): string[] {
  return [
    `  local Loop  ${fact(parts.loop, 'url')}`,
    `  dashboard   ${fact(parts.dashboard, 'url')}`,
    `  Redis       ${fact(parts.redis, 'url')}   (REDIS_URL for loopfleet status, trainings, …)`,
  ]
}

function fact(part: Part, name: string): string {
  const value = part.facts[name]
  if (typeof value === 'string') return value
  throw new LoopfleetError('LF_PART_NOT_STARTED', `The ${part.name} did not tell its ${name}.`)
}

function isSet(entry: [string, string | undefined]): entry is [string, string] {
  return entry[1] !== undefined
}
