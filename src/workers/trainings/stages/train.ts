import { messageOf, TrainingStoppedError, WorkerShutdownError } from '../../../base/index.js'
import type { ModelEvent, TrainerEvent } from '../../../executors/contract/index.js'
import { noMatchReason, type RunningTraining, readLeftOver, startTraining } from '../../../executors/training/index.js'
import type { Finished } from '../../checkpoints/marker.js'
import { deviceOf } from '../../engine/served.js'
import { toBestModel } from '../best-model.js'
import { openStarts, type Start } from '../choose-start.js'
import { NoModelError, TrainerExitedError } from '../errors.js'
import { createGain, type Gain } from '../gain.js'
import { warnOfHyperparameters } from '../hyperparameter-warning.js'
import { hasFiles } from '../model-sets.js'
import { BEST_HOST, createReportWriter, type ReportWriter } from '../report-writer.js'
import { blamesItsStart, type FailedStart, NoResumeError } from '../resume-ladder.js'
import { writeTrainingFile } from '../training-file.js'
import type { Stage, StageContext, StageDeps } from './stage.js'

const FIGURES_EVERY_MS = 1000
const STARTS = { resume: 'resumes', 'best-model': 'begins with the best model so far', scratch: 'starts' } as const
type ProgramStart = keyof typeof STARTS

/**
 * Runs the training program on the leased slots until it ends: events become progress, log lines and set-aside models.
 * A stop ends it politely and keeps the best model; without any model a stop throws the training away.
 */
export const train: Stage = {
  name: 'train',
  kind: 'train',
  loopStates: { during: 'running', after: 'training_finished' },
  reportsProgress: true,
  errorKey: 'run_training',
  onStop: 'keeps-model',
  servesUpload: true,
  results: ({ paths }) => [paths.models],
  run,
}

async function run(context: StageContext, deps: StageDeps) {
  const { training, signal, say } = context
  const { failed } = training.starts
  // Also for a training that was stopped while nobody worked on it: its models may lie with the checkpoints only.
  const restored = await training.checkpoints?.restore(say, { mustRead: signal.aborted, failed })
  training.modelSets.reload() // as restored; also when that has failed half way
  if (restored?.finished) return { ...restored.finished }
  if (signal.aborted) return settle(context, undefined)
  await warnOfHyperparameters(context) // again for a retry, which passes over the download
  await writeTrainingFile(training)
  const starts = openStarts(context, deps, restored?.mark)
  for (;;) {
    const start = await starts.next()
    const watched = 'start' in start ? await runProgram(start.start, context, deps) : undefined
    if (watched === undefined && !(await endsWithItsModels(start, context))) continue
    const end = watched && (await failedStart(watched, start, context))
    if (end !== undefined) {
      say(`the program ended before its first new epoch (${end}); the training steps down`)
      await start.failed()
      continue
    }
    if (training.stopSwitch.endSignal.reason instanceof WorkerShutdownError) await training.checkpoints?.handBack()
    const result = await settle(context, watched)
    await training.checkpoints?.finish(result)
    return result
  }
}

async function runProgram(start: ProgramStart, context: StageContext, deps: StageDeps): Promise<Watched> {
  const { training, audience, log, say } = context
  const { definition, order, owner, programEnv: env, lease } = training
  const resume = start === 'resume'
  await training.checkpoints?.follow(say)
  await training.checkFence()
  const where = {
    definition,
    workspace: training.paths.workspace,
    order,
    owner,
    env,
    audience,
    gpus: lease?.visible ?? [],
  }
  const how = { resume, bestModel: start === 'best-model' }
  const program = await startTraining({ ...where, ...how }, { log, outputThread: deps.outputThread, say })
  const device = deviceOf(training)
  await training.update({ facts: { device } })
  say(`training program ${STARTS[start]} as process ${program.pid} on ${device}`)
  const gain = createGain(resume ? training.starts.epoch : null)
  const reported = await watch(program, gain, context, deps)
  await training.starts.noteReached(gain)
  return { program, gain, reported }
}

/** How it ended, in words, if what it began with is to blame: then the training steps down. */
async function failedStart(watched: Watched, start: Start, { signal }: StageContext): Promise<string | undefined> {
  const end = await failureOf(watched)
  const wasResume = 'start' in start && start.start !== 'scratch'
  if (!wasResume || end === undefined || signal.aborted || watched.gain.hasNewEpoch) return undefined
  return blamesItsStart(end) ? new TrainerExitedError(end).message : undefined
}

/** Whether the training ends without a program, with the models it has; throws if it has none and cannot begin again. */
async function endsWithItsModels(start: Start, context: StageContext): Promise<boolean> {
  const { training, say } = context
  const isFinished = 'end' in start && start.end === 'finished'
  if (isFinished) await keepLeftOver(context)
  const hasModel = (await training.modelSets.list()).some(hasFiles)
  if (isFinished && !hasModel) {
    say('the training program had finished, but left no model here')
    await start.failed()
    return false
  }
  if (!hasModel) throw new NoResumeError({ trainingId: training.id })
  say(
    isFinished
      ? 'the training program had finished; its models are used'
      : 'nothing is left to resume from; the training ends with its best model so far',
  )
  return true
}

/** Sets aside what an earlier program has left, without starting one. */
async function keepLeftOver(context: StageContext): Promise<void> {
  const { training, log, say } = context
  const { definition, order, paths } = training
  const writer = createReportWriter(training)
  const where = { definition, order, workspace: paths.workspace }
  for await (const event of readLeftOver(where, { log, say })) await take(event, context, writer)
  await writer.flush()
}

type Watched = { readonly program: RunningTraining; readonly gain: Gain; readonly reported: string | null }

/** Returns what it has reported as the error. */
async function watch(
  program: RunningTraining,
  gain: Gain,
  context: StageContext,
  deps: StageDeps,
): Promise<string | null> {
  const { signal } = context
  let reported: string | null = null
  const writer = createReportWriter(context.training)
  const end = () => void program.end()
  signal.addEventListener('abort', end, { once: true })
  if (signal.aborted) end()
  const figures = setInterval(() => void reportFigures(program, context, deps), FIGURES_EVERY_MS)
  try {
    for await (const event of program.events) {
      if (event.event === 'error') reported = event.message
      gain.saw(event)
      await take(event, context, writer)
      context.training.checkpoints?.saw(event)
    }
    await program.exited
    await writer.flush()
    return reported
  } finally {
    clearInterval(figures)
    signal.removeEventListener('abort', end)
    await program.end()
  }
}

// Waits for the disk, never for Redis: the program's events and its end are noticed in every outage.
async function take(event: TrainerEvent, context: StageContext, writer: ReportWriter): Promise<void> {
  const { training } = context
  switch (event.event) {
    case 'progress': {
      const { event: _, ...told } = event
      training.reached(told)
      context.progress(withoutNulls(told))
      return
    }
    case 'metrics':
      training.reached({ epoch: event.epoch, isDone: true })
      if (Object.keys(event.values).length > 0) context.say(`epoch ${event.epoch}: ${inWords(event.values)}`)
      writer.point({ epoch: event.epoch, values: event.values })
      return
    case 'model': {
      training.reached({ epoch: event.epoch, isDone: true })
      // Set aside before the metrics go out: the program may overwrite its files at any time.
      const set = await training.modelSets.add(event)
      if (!hasFiles(set)) {
        context.say(`figures of epoch ${set.epoch ?? '?'} without its model: ${countsInWords(event)}`)
        return
      }
      training.metricsSync.push(set)
      writer.best(toBestModel(event, set.epoch))
      context.say(set.epoch === null ? 'new best model, epoch unknown' : `new best model of epoch ${set.epoch}`)
      return
    }
    case 'error':
      context.say(`the trainer reports: ${event.message}`)
      return
    default:
      event satisfies never
  }
}

// What an event leaves out stays as the one before said.
function withoutNulls<Told extends object>(told: Told): { [Key in keyof Told]?: NonNullable<Told[Key]> } {
  const known = Object.entries(told).filter(([, value]) => value !== null && value !== undefined)
  return Object.fromEntries(known) as { [Key in keyof Told]?: NonNullable<Told[Key]> }
}

function inWords(values: Readonly<Record<string, number>>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name} ${Number(value.toPrecision(4))}`)
    .join(', ')
}

function countsInWords(event: ModelEvent): string {
  const { f1 } = toBestModel(event, null)
  return f1 === undefined ? 'nothing was measured' : `F1 ${Number(f1.toPrecision(4))}`
}

async function reportFigures(program: RunningTraining, context: StageContext, deps: StageDeps): Promise<void> {
  try {
    const slots = context.training.lease?.slots ?? []
    const all = slots.length === 0 ? null : deps.gpuFigures()
    const gpus = all?.filter((gpu) => slots.includes(gpu.index)) ?? null
    const process = await program.figures()
    context.progress({ gpus, ...(process === null ? {} : { process }) }) // one that has just ended has none any more
  } catch (error) {
    context.log.debug({ reason: messageOf(error) }, 'figures not read') // a dying process has none
  }
}

// What another host has reported lies on its disk: to abort the training would have it deleted there.
async function withoutModel({ training, signal }: StageContext): Promise<unknown> {
  const { best, facts, hostId: lastHost } = training.taken
  if (best === null) return signal.reason
  const hostId = typeof facts[BEST_HOST] === 'string' ? facts[BEST_HOST] : (lastHost ?? 'an earlier host')
  const which = best.epoch === null ? 'the best model' : `the best model of epoch ${best.epoch}`
  const wayOut = `retry the training while no host but ${hostId} takes trainings, or order it again`
  return new NoModelError(`The files of ${which} lie on ${hostId} alone; ${wayOut}.`, { hostId })
}

async function settle(context: StageContext, watched: Watched | undefined): Promise<Finished> {
  const { training, signal } = context
  training.stopSwitch.endSignal.throwIfAborted()
  const models = (await training.modelSets.list()).filter(hasFiles)
  if (signal.reason instanceof TrainingStoppedError) {
    if (models.length === 0) throw await withoutModel(context)
    context.say('stopped; the best model so far is kept')
    return { stopped: true, epoch: models.at(-1)?.epoch ?? null }
  }
  signal.throwIfAborted()
  const failure = watched && (await failureOf(watched))
  if (failure !== undefined) throw new TrainerExitedError(failure)
  if (models.length === 0) {
    const reason = await noMatchReason(training.definition, training.paths.workspace)
    const why = reason === undefined ? '' : `: ${reason}`
    throw new NoModelError(
      `The trainer ended with code 0 but reported no model${why}; see its log and the trainer contract.`,
    )
  }
  return { stopped: false, epoch: models.at(-1)?.epoch ?? null }
}

async function failureOf({ program, reported }: Watched): Promise<FailedStart | undefined> {
  const { exitCode, signal } = await program.exited
  if (exitCode === 0 && !program.hasHung) return undefined
  return { exitCode, signal, reported, lastLogLines: program.lastLines(), outOfMemory: program.isOutOfMemory }
}
