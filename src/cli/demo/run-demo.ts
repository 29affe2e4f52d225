import { join, resolve } from 'node:path'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { lockFolder } from '../../process/folder-lock.js'
import { failureOf } from '../../queue/failure-facts.js'
import { createClosers, whenAborted } from '../closers.js'
import { openFleetLink } from '../compose/fleet-link.js'
import { openContext } from '../context.js'
import { failureText } from '../look/failure-text.js'
import { annotateOnce } from './annotate-once.js'
import { convertOnce, exampleConverter } from './convert-once.js'
import { detectOnce } from './detect-once.js'
import { createLoopControl, type LoopControl, ORGANIZATION } from './loop-control.js'
import { createProgressView } from './show-progress.js'
import { type DemoDeps, fact, type Parts, startParts } from './start-parts.js'
import { summaryLines, toSummary } from './summary.js'

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
    const deps = { context, view, closers }
    const parts = await startParts({ folder, seed: flags.seed, trainer: flags.trainer }, deps)
    const { summary, evaluation, failure } = await workOnce(parts, flags, deps)
    view.stop()
    for (const line of summaryLines(summary, evaluation)) view.say(line)
    if (!summary.ok && failure !== undefined) view.say(`\n${failureText(failure, Date.now())}`)
    if (!summary.ok) view.say(`\nEach part has a log in ${join(folder, 'logs')}.`)
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

/** A training, then what its model is for: it is made smaller, a detector runs it; and an annotator outlines something. */
async function workOnce(parts: Parts, flags: DemoFlags, deps: DemoDeps) {
  const { signal } = deps.context
  const control = createLoopControl(fact(parts.loop, 'url'), (ms) => sleep(ms, undefined, { signal }))
  if (flags.trainer === exampleTrainer) await parts.start('converter', [exampleConverter])
  const trained = await trainOnce(parts, flags, { ...deps, control })
  deps.view.stop()
  const { training, conversion } =
    flags.trainer === exampleTrainer
      ? await convertOnce({ project: PROJECT, number: trained.training.number }, { ...deps, control })
      : { training: trained.training, conversion: null }
  const model = training.models[0]
  const deployed = model?.version ? { id: model.id, version: model.version } : undefined
  const detector =
    deployed === undefined ? null : await detectOnce({ project: PROJECT, model: deployed }, parts, { ...deps, control })
  const annotation = await annotateOnce(parts, { ...deps, control })
  return {
    summary: toSummary({ ...trained, training, conversion, detector, annotation }),
    evaluation: trained.evaluation,
    failure: trained.failure,
  }
}

async function trainOnce(parts: Parts, flags: DemoFlags, deps: DemoDeps & { readonly control: LoopControl }) {
  const { context, view, control } = deps
  view.say(`\nDrawing ${IMAGES.complete + IMAGES.inbox} images with known boxes …`)
  await control.generate({ project_name: PROJECT, ...IMAGES, seed: flags.seed })
  const node = await control.waitForTrainer(context.signal)
  const startedAt = performance.now()
  const hyperparameters = { ...(flags.short ? { short: true } : {}), ...(flags.steps ? { steps: flags.steps } : {}) }
  const number = await control.order(PROJECT, { trainer: node, hyperparameters })
  view.say(`\nThe Loop has ordered training ${number} of project ${PROJECT}. To see it in a browser:`)
  view.say(pageLines(parts).join('\n'))
  await follow(control, number, node, deps)
  const seconds = (performance.now() - startedAt) / 1000
  const training = await control.training(PROJECT, number)
  const evaluation = await control.evaluation(PROJECT, training.models[0]?.version ?? '')
  const nodeState = await control.nodeState(node)
  return { nodeState, training, evaluation, seconds, ...(await readJournal(parts, deps)) }
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

/** Seconds per step and the last failure, as the journal has them. */
async function readJournal(parts: Parts, { context, closers }: DemoDeps) {
  const environment = { ...context.environment, REDIS_URL: fact(parts.redis, 'url') }
  const { journal } = await openFleetLink({ ...context, environment }, closers)
  const [training] = await journal.list({ limit: 1 })
  const steps = Object.entries(training?.steps ?? {}).sort(([, a], [, b]) => a.at - b.at)
  const stages = Object.fromEntries(steps.map(([stage, step]) => [stage, Math.round(step.seconds * 100) / 100]))
  return { stages, failure: training && failureOf(training) }
}

function pageLines(parts: Parts): string[] {
  return [
    `  local Loop  ${fact(parts.loop, 'url')}/#${ORGANIZATION}/${PROJECT}`,
    `  dashboard   ${fact(parts.dashboard, 'url')}`,
  ]
}

function addressLines(parts: Parts): string[] {
  return [
    ...pageLines(parts),
    ...parts.more
      .filter(({ facts }) => typeof facts.url === 'string')
      .map((part) => `  ${part.name.padEnd(10)}  ${fact(part, 'url')}`),
    `  Redis       ${fact(parts.redis, 'url')}   (REDIS_URL for loopfleet status, trainings, …)`,
  ]
}
