import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { TrainingStoppedError } from '../base/abort-reasons.js'
import { messageOf } from '../base/errors.js'
import type { Lease, Slots } from '../executors/gpu/slots.js'
import type { TrainerState } from '../loop/protocol/index.js'
import type { TrainingRecord } from '../queue/journal.js'
import { queueNames, type Stage, stageKinds, stepId } from '../queue/names.js'
import { JobRemovedError } from '../queue/queue-errors.js'
import type { Queues } from '../queue/queues.js'
import type { Walk } from './pipeline.js'
import { deviceOf } from './served.js'
import { showing, shownStates } from './shown-states.js'
import type { TrainingRun } from './training-run.js'

export type WalkDeps = {
  readonly queues: Pick<Queues, 'runJob' | 'remove'>
  readonly slots: Slots
}

/** Walks one run through the pipeline: each step a job on this host's queues, done ones passed over. */
export function createWalk(training: TrainingRun, deps: WalkDeps): Walk & { readonly cleanUp: () => Promise<void> } {
  const { stopSwitch, definition } = training
  const running = new Set<Stage>()

  /** Answers whether the step was done, not just ended. */
  async function runStep(stage: Stage): Promise<boolean> {
    const queue = queueNames.host(training.hostId, stageKinds[stage])
    const id = stepId(training.id, training.run, stage)
    const signal = stopSwitch.signalFor(stage)
    const run = () => deps.queues.runJob(queue, stage, { trainingId: training.id, run: training.run, stage }, { id })
    // A step that waits is taken out; one that runs hears of it through its own signal and is waited for.
    const takeOut = () => void deps.queues.remove(queue, id).catch(() => undefined)
    signal.addEventListener('abort', takeOut, { once: true })
    try {
      if (signal.aborted && stage !== 'train') signal.throwIfAborted()
      await run()
      return true
    } catch (error) {
      if (stage === 'cleanup') throw error
      if (!signal.aborted || stopSwitch.endSignal.aborted) throw endOr(error)
      // Stopped while it waited for another attempt: it still has to say whether there is a model to keep.
      if (stage === 'train' && error instanceof JobRemovedError) return run().then(() => true)
      if (!DETECTION.includes(stage)) throw signal.reason
      return false // a stopped detection is left as it is: the model is uploaded
    } finally {
      signal.removeEventListener('abort', takeOut)
    }
  }

  // What fails a step ends the other download too; what ends the training is the reason for all that fails then.
  function endOr(error: unknown): unknown {
    stopSwitch.end(error instanceof Error ? error : new Error(String(error)))
    return stopSwitch.endSignal.reason
  }

  async function step(stage: Stage): Promise<void> {
    stopSwitch.phase = stage === 'train' ? 'training' : stopSwitch.phase
    if (await isDone(stage, training)) {
      training.log.debug({ stage }, 'stage was done before')
    } else {
      running.add(stage)
      const shown = showSoon(shownStates[stage].during)
      const isFinished = await runStep(stage).finally(() => running.delete(stage))
      await shown
      if (!isFinished) await show(shownStates[stage].after) // else written together with the step
    }
    if (stage === 'download-data' && waitsForModel()) await show('train_model_downloading')
    stopSwitch.phase = stage === 'train' ? 'after' : stopSwitch.phase
  }

  // The two downloads run at the same time, but the Loop knows them one after the other.
  function waitsForModel(): boolean {
    return running.has('download-model') && training.order.baseModel.kind === 'loop'
  }

  // A stop while waiting for a slot: `train` decides whether there is a model of an earlier run to go on with.
  async function acquire(): Promise<Lease | undefined> {
    const signal = stopSwitch.signalFor('train')
    try {
      return await deps.slots.acquire(definition.gpus, { signal })
    } catch (error) {
      if (signal.reason instanceof TrainingStoppedError && !stopSwitch.endSignal.aborted) return undefined
      throw error
    }
  }

  async function show(state: TrainerState | null): Promise<void> {
    if (state !== null) await training.update(showing(state))
  }

  // On its way to Redis before whatever is sent there next; to be waited for later, unless something else fails first.
  function showSoon(state: TrainerState | null): Promise<void> {
    const shown = show(state)
    shown.catch(() => undefined)
    return shown
  }

  return {
    step,
    converts: definition.convert.length > 0,
    detects: () => definition.detect !== undefined && !stopSwitch.leavesDetectionOut,
    async withLease(work) {
      // A stop that is already there starts no program, so it needs no slot.
      if (stopSwitch.signalFor('train').aborted || (await isDone('train', training))) return work()
      const shown = showSoon('train_model_downloaded')
      const lease = await acquire()
      training.lease = lease
      if (lease !== undefined) training.log.info({ asked: definition.gpus, device: deviceOf(training) }, 'slots lent')
      try {
        await work()
        await shown
      } finally {
        training.lease = undefined
        lease?.release()
      }
    },
    async cleanUp() {
      try {
        const shown = showSoon('ready_for_cleanup')
        await runStep('cleanup')
        await shown
      } catch (error) {
        training.log.warn({ reason: messageOf(error) }, 'cleaning up failed')
      }
    },
  }
}

const DETECTION: readonly Stage[] = ['detect', 'upload-detections']
const BEFORE_UPLOAD: readonly Stage[] = ['download-data', 'download-model', 'train', 'sync-metrics', 'convert']

/** What is on this host's disk counts here only; what is at the Loop counts everywhere. */
async function isDone(stage: Stage, training: TrainingRun): Promise<boolean> {
  const record = training.taken
  if (BEFORE_UPLOAD.includes(stage) && isAtLoop(record)) return true
  const step = record.steps[stage]
  if (step === undefined) return false
  if (stage === 'upload-model' || stage === 'upload-detections') return true
  return step.hostId === training.hostId && (await isOnDisk(stage, training))
}

function isAtLoop(record: TrainingRecord): boolean {
  return record.steps['upload-model'] !== undefined
}

async function isOnDisk(stage: Stage, { paths, order, definition }: TrainingRun): Promise<boolean> {
  const needed: Partial<Record<Stage, string>> = {
    'download-data': paths.imageData,
    'download-model': order.baseModel.kind === 'loop' ? paths.baseModel : undefined,
    train: paths.models,
    'sync-metrics': paths.model,
    convert: paths.model,
    detect: paths.detections,
  }
  const path = needed[stage]
  // A trainer file that was corrected since may want other files of its conversions.
  const made = definition.convert.flatMap(({ format }) => definition.upload[format] ?? [])
  const more = stage === 'convert' ? made.map((name) => join(paths.model, name)) : []
  const there = await Promise.all([...(path === undefined ? [] : [path]), ...more].map(isThere))
  return there.every((found) => found)
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
