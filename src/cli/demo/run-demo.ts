import { join, resolve } from 'node:path'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { LoopfleetError, withClosers } from '../../base/index.js'
import { lockFolder } from '../../process/folder-lock/index.js'
import { failureOf } from '../../queue/index.js'
import { openFleetLink } from '../compose/fleet-link.js'
import { openContext } from '../context.js'
import { failureText } from '../look/failure-text.js'
import { whenAborted } from '../run-until-asked.js'
import { annotateOnce } from './annotate-once.js'
import { convertOnce } from './convert-once.js'
import { detectOnce } from './detect-once.js'
import { createLoopControl, type LoopControl, ORGANIZATION } from './loop-control.js'
import { type Examples, prepareExamples } from './prepare-examples.js'
import { createProgressView } from './show-progress.js'
import { type DemoDeps, fact, type Parts, startParts } from './start-parts.js'
import { isComplete, summaryLines, toSummary } from './summary.js'

export type DemoFlags = {
  readonly json: boolean
  readonly keep: boolean
  readonly data: string
  readonly seed: number
  /** A trainer file of the caller; the example trainer, and what its models are for, without it. */
  readonly trainer?: string
  readonly steps?: number
  readonly short: boolean
}

const PROJECT = 'shapes'
const PART_END_MS = 3000
const IMAGES = { complete: 240, inbox: 40, train_share: 2 / 3, box_categories: 4, box_annotations: 4 }

/** The whole of loopfleet on this machine: starts everything, trains once, and reads back from the Loop what came of it. */
export async function runDemo(flags: DemoFlags): Promise<void> {
  const asked = openContext({ quiet: true })
  const partEnded = new AbortController()
  const context = { ...asked, signal: AbortSignal.any([asked.signal, partEnded.signal]) }
  const view = createProgressView()
  await withClosers(context.log, async (closers) => {
    try {
      const folder = resolve(flags.data)
      const lock = await lockFolder(folder, 'demo')
      closers.add('folder lock', () => lock.release())
      await runParts({ flags, folder }, { context, view, closers, onPartEnded: (error) => partEnded.abort(error) })
    } catch (error) {
      view.stop()
      if (!asked.signal.aborted) {
        // A request to a part that has just died fails before its end is known.
        if (!(error instanceof LoopfleetError)) await Promise.race([whenAborted(partEnded.signal), sleep(PART_END_MS)])
        throw partEnded.signal.aborted ? partEnded.signal.reason : error
      }
      process.exitCode = 130
    }
  })
}

async function runParts({ flags, folder }: { flags: DemoFlags; folder: string }, deps: DemoDeps): Promise<void> {
  const { context, view } = deps
  const examples =
    flags.trainer === undefined
      ? await prepareExamples({ folder }, { signal: context.signal, say: view.say })
      : undefined
  const trainer = flags.trainer ?? examples?.trainer ?? ''
  const parts = await startParts({ folder, seed: flags.seed, trainer }, deps)
  const { summary, evaluation, failure } = await workOnce(parts, { flags, examples }, deps)
  view.stop()
  for (const line of summaryLines(summary, evaluation)) view.say(line)
  if (!summary.ok) {
    process.exitCode = 1
    if (failure !== undefined) view.say(`\n${failureText(failure, Date.now())}`)
    view.say(`\nEach part has a log in ${join(folder, 'logs')}.`)
  }
  if (flags.json) process.stdout.write(`${JSON.stringify(summary)}\n`)
  if (!flags.keep) return
  view.say(`\nAll is left running until Ctrl-C:\n${addressLines(parts).join('\n')}`)
  await whenAborted(context.signal)
  if (context.signal.reason instanceof LoopfleetError) throw context.signal.reason // not Ctrl-C, but a part that ended
}

type Task = { readonly flags: DemoFlags; readonly examples: Examples | undefined }

/**
 * A training, then what its model is for: it is made smaller, a detector runs it; and an annotator outlines something.
 * After a failed training nothing more is tried.
 */
async function workOnce(parts: Parts, { flags, examples }: Task, deps: DemoDeps) {
  const { signal } = deps.context
  const control = createLoopControl(fact(parts.loop, 'url'), (ms) => sleep(ms, undefined, { signal }))
  if (examples !== undefined) await parts.start('converter', [examples.converter])
  const trained = await trainOnce(parts, flags, { ...deps, control })
  const { evaluation, failure } = trained
  deps.view.stop()
  const model = trained.training.models[0]
  if (!isComplete(trained.training) || model === undefined) {
    return {
      summary: toSummary({ ...trained, conversion: null, detector: null, annotation: null }),
      evaluation,
      failure,
    }
  }
  const { training, conversion } =
    examples === undefined
      ? { training: trained.training, conversion: null }
      : await convertOnce({ project: PROJECT, number: trained.training.number }, { ...deps, control })
  const deployed = model.version === null ? undefined : { id: model.id, version: model.version }
  const detector =
    deployed === undefined ? null : await detectOnce({ project: PROJECT, model: deployed }, parts, { ...deps, control })
  const annotation = await annotateOnce(parts, { ...deps, control })
  return { summary: toSummary({ ...trained, training, conversion, detector, annotation }), evaluation, failure }
}

async function trainOnce(parts: Parts, flags: DemoFlags, deps: DemoDeps & { readonly control: LoopControl }) {
  const { context, view, control } = deps
  view.say(`\nDrawing ${IMAGES.complete + IMAGES.inbox} images with known boxes …`)
  await control.generate({ project_name: PROJECT, ...IMAGES, seed: flags.seed }, context.signal)
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
  return { nodeState, training, evaluation, seconds, ...(await readRecord(parts, deps)) }
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

/** Seconds per step and the last failure, as its record has them. */
async function readRecord(parts: Parts, { context, closers }: DemoDeps) {
  const environment = { ...context.environment, REDIS_URL: fact(parts.redis, 'url') }
  const { trainings } = await openFleetLink({ ...context, environment }, closers)
  const [training] = await trainings.list({ limit: 1 })
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
