import {
  RunSupersededError,
  TrainingAbortedError,
  TrainingStoppedError,
  WorkerShutdownError,
} from '../base/abort-reasons.js'
import { isUnclassified, LoopfleetError, messageOf } from '../base/errors.js'
import type { Logger } from '../base/logger.js'
import type { Slots } from '../executors/gpu/slots.js'
import type { Control } from '../queue/control.js'
import { errorKeyOf } from '../queue/error-keys.js'
import type { JobHandle } from '../queue/job-handle.js'
import type { TrainingJob } from '../queue/job-schemas.js'
import type { Journal, TakenTraining, TrainingRecord } from '../queue/journal.js'
import { RecordLostError, TrainingEndedError, TrainingUnknownError } from '../queue/journal-errors.js'
import { queueNames, stepId } from '../queue/names.js'
import { HandBackError, JobFailedError } from '../queue/queue-errors.js'
import type { Queues } from '../queue/queues.js'
import { FruitlessRunsError, MAX_FRUITLESS_RUNS, TrainingFailedError } from './errors.js'
import { toFailureFacts } from './failure-facts.js'
import { createJobSteps } from './job-steps.js'
import { createPatience, LEND_AFTER_MS } from './patience.js'
import { walkPipeline } from './pipeline.js'
import type { Place, Places } from './places.js'
import { isForOtherHosts } from './served.js'
import { errorsAtEnd } from './shown-errors.js'
import type { Stages } from './stages/stage.js'
import { obeyEarlierStop } from './stop-switch.js'
import type { TrainingRun } from './training-run.js'
import { createWalk } from './trainings/walk.js'

export type DispatcherOptions = {
  readonly hostId: string
  readonly workerPid: number
  /** After so long without getting on outside of `train` the place of a training is lent to another. */
  readonly lendPlaceAfterMs?: number
}

export type DispatcherDeps = {
  readonly queues: Queues
  readonly journal: Journal
  readonly control: Control
  readonly places: Places
  readonly slots: Slots
  readonly stages: Stages
  /** Builds what only a living process holds; throws when this host has no such trainer. */
  readonly createRun: (record: TrainingRecord, run: number) => TrainingRun
  /** Ends programs of earlier lives of this training on this host. */
  readonly sweepTraining: (trainingId: string) => Promise<void>
  readonly log: Logger
}

/** Takes trainings from their queue and walks each through the pipeline; the training's job stays active meanwhile. */
export type Dispatcher = {
  /** Handler of a `trainings.<trainer>` queue. */
  take(job: JobHandle<TrainingJob>, signal: AbortSignal): Promise<unknown>
  findRun(trainingId: string): TrainingRun | undefined
  readonly active: readonly TrainingRun[]
}

export function createDispatcher(options: DispatcherOptions, deps: DispatcherDeps): Dispatcher {
  const runs = new Map<string, TrainingRun>()
  const { lendPlaceAfterMs: lendAfterMs = LEND_AFTER_MS } = options

  async function take(job: JobHandle<TrainingJob>, signal: AbortSignal): Promise<unknown> {
    const { trainingId } = job.data
    // Its first take on this host still winds down (lock lost), or the host is full: not now, maybe elsewhere.
    if (runs.has(trainingId)) throw new HandBackError()
    const place = deps.places.tryTake()
    if (place === undefined) throw new HandBackError()
    try {
      const taken = await takeUnlessEnded(trainingId)
      return taken === undefined ? { skipped: 'the training has ended' } : await run(taken, place, signal)
    } catch (error) {
      if (!isRecordLost(error)) throw error
      // Nothing to settle it in. Its workspace stays, and when Redis has the record again the next run goes on from there.
      deps.log.error({ trainingId, err: error }, 'training left without its record')
      throw new HandBackError()
    } finally {
      runs.delete(trainingId)
      place.release()
    }
  }

  async function takeUnlessEnded(trainingId: string): Promise<TakenTraining | undefined> {
    try {
      return await deps.journal.take(trainingId, { hostId: options.hostId, workerPid: options.workerPid })
    } catch (error) {
      if (error instanceof TrainingEndedError || error instanceof TrainingUnknownError) return undefined
      throw error
    }
  }

  async function run({ before: record, run: number }: TakenTraining, place: Place, signal: AbortSignal) {
    const hasEarlierRuns = number > 1
    if (hasEarlierRuns) await endEarlierRuns(record, number)
    const training = await openRun(record, number)
    const patience = createPatience({ lendAfterMs }, { place, log: training.log })
    training.patience = patience
    runs.set(record.id, training)
    const end = () => training.stopSwitch.end(toEndReason(signal.reason, training))
    signal.addEventListener('abort', end, { once: true })
    if (signal.aborted) end()
    training.log.info({ run: number, trainer: record.trainer }, 'training taken')
    try {
      if (hasEarlierRuns && (await isFruitless(training)))
        return await fail(training, new FruitlessRunsError(record.id))
      await obeyEarlierRequest(record, training)
      return await walk(training)
    } finally {
      signal.removeEventListener('abort', end)
      patience.end()
      await training.checkpoints?.close()
      await training.output.close()
      training.log.info({ run: number }, 'training left')
    }
  }

  async function openRun(record: TrainingRecord, number: number): Promise<TrainingRun> {
    try {
      return deps.createRun(record, number)
    } catch (error) {
      return await failWithoutRun(record, number, error)
    }
  }

  async function endEarlierRuns(record: TrainingRecord, number: number): Promise<void> {
    try {
      await forgetSteps(record)
      await deps.sweepTraining(record.id)
    } catch (error) {
      if (!isUnclassified(error)) throw error
      await failWithoutRun(record, number, error)
    }
  }

  // No run to settle it: without this its seat would stay busy for ever.
  async function failWithoutRun(record: TrainingRecord, number: number, error: unknown): Promise<never> {
    const errors = { [errorKeyOf(record.state)]: messageOf(error) }
    await noteFailure(record.id, number, error)
    await deps.journal.finish(record.id, number, { outcome: 'failed', errors })
    throw new TrainingFailedError(record.state, error instanceof Error ? error : new Error(String(error)))
  }

  async function walk(training: TrainingRun) {
    const { stages, slots, queues } = deps
    const steps = createWalk(training, { stages, slots, runStep: createJobSteps(training, queues) })
    try {
      await walkPipeline(steps)
      await steps.cleanUp()
      await finish(training, { outcome: 'completed' })
      return { outcome: 'completed', run: training.run }
    } catch (error) {
      return await settle(training, error, steps.cleanUp)
    }
  }

  async function finish(training: TrainingRun, ending: Parameters<Journal['finish']>[2]): Promise<void> {
    training.output.flush() // whoever follows the log waits a moment for more
    await deps.journal.finish(training.id, training.run, ending)
  }

  async function settle(training: TrainingRun, error: unknown, cleanUp: () => Promise<void>) {
    const reason = training.stopSwitch.endSignal.aborted ? training.stopSwitch.endSignal.reason : error
    if (reason instanceof RunSupersededError || isRecordLost(reason)) throw reason
    if (reason instanceof WorkerShutdownError || isForOtherHosts(reason)) {
      if (isForOtherHosts(reason)) training.log.warn({ err: reason }, 'training goes back to the queue')
      await deps.journal.excuseRun(training.id, training.run)
      await forgetSteps(await training.record())
      throw new HandBackError()
    }
    if (reason instanceof TrainingAbortedError || reason instanceof TrainingStoppedError) {
      await cleanUp()
      await finish(training, { outcome: 'aborted' })
      return { outcome: 'aborted', run: training.run }
    }
    return await fail(training, error)
  }

  async function fail(training: TrainingRun, error: unknown): Promise<never> {
    const { errors, state } = await training.record()
    const shown = errorsAtEnd({ errors, state }, error)
    training.log.error({ err: error }, 'training failed')
    if (!(error instanceof JobFailedError)) await noteFailure(training.id, training.run, error) // a step has noted its own
    await finish(training, { outcome: 'failed', errors: shown })
    throw new TrainingFailedError(state, error instanceof Error ? error : new Error(String(error)))
  }

  // The run before is counted when the next one begins.
  async function isFruitless(training: TrainingRun): Promise<boolean> {
    return (await training.record()).fruitlessRuns >= MAX_FRUITLESS_RUNS
  }

  function noteFailure(id: string, run: number, error: unknown): Promise<void> {
    return deps.journal.update(id, run, {
      facts: { failure: toFailureFacts(error, { hostId: options.hostId, at: Date.now() }) },
    })
  }

  async function obeyEarlierRequest(record: TrainingRecord, training: TrainingRun): Promise<void> {
    const kind = await deps.control.pending(record.id)
    if (kind === 'abort') training.stopSwitch.abort()
    if (kind === 'stop') obeyEarlierStop(training.stopSwitch, record.steps.train?.result)
  }

  // Step jobs of an earlier run would be taken up by their host when it comes back, so they go, with their locks.
  async function forgetSteps(record: TrainingRecord): Promise<void> {
    if (record.hostId === null) return
    for (const { name, kind } of Object.values(deps.stages)) {
      const queue = queueNames.host(record.hostId, kind)
      await deps.queues.remove(queue, stepId(record.id, record.run, name), { force: true })
    }
  }

  return {
    take,
    findRun: (trainingId) => runs.get(trainingId),
    get active() {
      return [...runs.values()]
    },
  }
}

function isRecordLost(error: unknown): boolean {
  return error instanceof RecordLostError || (error instanceof JobFailedError && error.reasonCode === 'LF_RECORD_LOST')
}

function toEndReason(reason: unknown, training: TrainingRun): Error {
  if (reason instanceof LoopfleetError && reason.code !== 'LF_LOCK_LOST') return reason
  return new RunSupersededError({ trainingId: training.id, run: training.run })
}
