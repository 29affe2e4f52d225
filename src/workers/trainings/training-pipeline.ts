import {
  type BackOffOptions,
  isUnclassified,
  RunSupersededError,
  TrainingAbortedError,
  TrainingStoppedError,
  WorkerShutdownError,
} from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import type { GpuCount, Slots } from '../../executors/gpu/index.js'
import {
  type Offered,
  RecordLostError,
  type TrainingOutcome,
  type TrainingPayload,
  type TrainingRecord,
  type Trainings,
  toTraining,
} from '../../queue/index.js'
import { levelOf } from '../../queue/redis-basics/index.js'
import type { EndedRuns } from '../ended-runs.js'
import type { Blame } from '../engine/blame.js'
import { compareClaim } from '../engine/compare-claim.js'
import { toFailureFacts } from '../engine/failure-facts.js'
import type { Pipeline, Run } from '../engine/pipeline.js'
import { createPlaceLending, LEND_AFTER_MS } from '../engine/place-lending.js'
import type { Place, Places } from '../engine/places.js'
import type { HeldWork } from '../engine/record-watch.js'
import { isForOtherHosts } from '../engine/served.js'
import { createSlotRoom, type Room, type SlotDemand } from '../engine/slot-room.js'
import {
  FailedTooOftenError,
  FailsOnEveryHostError,
  FruitlessRunsError,
  MAX_FRUITLESS_RUNS,
  MovesToOtherHostError,
} from './errors.js'
import { errorsAtEnd, withMessage } from './loop-errors.js'
import { runPipeline } from './pipeline.js'
import { createPipelineRun } from './pipeline-run.js'
import { createProgramAttempts } from './program-attempts.js'
import { createRecordSteps, type StepQueues } from './record-steps.js'
import { type RecordStore, recordStore } from './record-store.js'
import { createStageRunner, type StageRunnerDeps } from './run-stage.js'
import type { RunStore } from './run-store.js'
import type { StageDeps, Stages } from './stages/stage.js'
import { obeyEarlierStop } from './stop-switch.js'
import type { TrainingRun } from './training-run.js'

export type TrainingPipelineOptions = {
  readonly hostId: string
  readonly pid: number
  /** Time without progress, outside of `train`, after which the place of a training is lent to another. */
  readonly lendPlaceAfterMs?: number | undefined
  readonly backOff?: BackOffOptions
}

export type TrainingPipelineDeps = {
  readonly trainings: Pick<Trainings, 'records' | 'load' | 'appendLog' | 'addPoints'>
  readonly steps: StepQueues
  readonly stages: Stages
  readonly stageDeps: StageDeps
  readonly onProgramFailed?: StageRunnerDeps['onProgramFailed']
  /** Limits the trainings that the host works on at the same time, over all its trainers. */
  readonly places: Places
  readonly slots: Slots
  /** The trainers that this host serves now. */
  readonly names: () => readonly string[]
  /** One training at a time decides whether what is suspended on this host works again. */
  readonly isOnTrial: (kind: 'trainer', name: string) => boolean
  /** Creates the run in this process; throws if this host has no such trainer. */
  readonly openRun: (record: TrainingRecord, run: number, store: RunStore) => TrainingRun
  /** Ends programs of earlier runs of this training on this host. */
  readonly sweepTraining: (trainingId: string) => Promise<void>
  readonly endedRuns: Pick<EndedRuns, 'note'>
  readonly blame: Blame
  /** How many GPUs a trainer of this host needs; without it hosts claim as many as they have places. */
  readonly gpusOf?: (name: string) => GpuCount
  /** Called when slots were lent or given back. */
  readonly onSlots?: () => void
  /** Called when a run has left its place. */
  readonly onLeft: () => Promise<void>
  readonly log: Logger
}

/** How a host carries out trainings. */
export type TrainingPipeline = Pipeline<TrainingPayload> & {
  room(name: string): Room
  readonly active: readonly TrainingRun[]
  /** The trainings that it works on, to compare with their records. */
  held(): readonly HeldWork[]
}

/** Pause of a training that this host cannot run, in which another host may claim it. */
const FOR_OTHERS_MS = 1_000

type CurrentRun = {
  readonly run: Run<TrainingPayload>
  readonly training: TrainingRun
  /** Whether the record has this error as its last failure. */
  isNoted(error: unknown): boolean
}

export function createTrainingPipeline(options: TrainingPipelineOptions, deps: TrainingPipelineDeps): TrainingPipeline {
  const { hostId, lendPlaceAfterMs: lendAfterMs = LEND_AFTER_MS } = options
  const { trainings, places, stages, slots, steps } = deps
  const active = new Map<string, { readonly run: Run<TrainingPayload>; readonly training: TrainingRun }>()
  const runStage = createStageRunner(deps)
  const slotRoom = createSlotRoom(slots)

  async function carryOut(run: Run<TrainingPayload>): Promise<void> {
    const place = places.take()
    const demand = slotRoom.begin(deps.gpusOf?.(run.record.name) ?? 0)
    try {
      await work(run, place, demand)
    } finally {
      demand.end()
      place.release()
      await deps.onLeft()
    }
  }

  async function work(run: Run<TrainingPayload>, place: Place, demand: SlotDemand): Promise<void> {
    const { id } = run.record
    const store = recordStore(run, deps)
    const training = await begin(run, store)
    if (training === undefined) return
    training.placeLending = createPlaceLending({ lendAfterMs }, { place, demand, log: training.log })
    active.set(id, { run, training })
    const onSlots = () => {
      demand.end()
      deps.onSlots?.()
    }
    const unfollow = follow(run, training)
    const removeRestored = run.onRestored(() => void writeAgain(store, training))
    training.log.info({ run: run.claim.run, trainer: run.record.name, ...whyTaken(run) }, 'training taken')
    const programs = createProgramAttempts(training, { run, store, blame: deps.blame })
    const recordSteps = createRecordSteps(training, { run, store, programs, steps, runStage, backOff: options.backOff })
    const current: CurrentRun = { run, training, isNoted: recordSteps.isNoted }
    try {
      const isFruitless = run.claim.run > 1 && run.fruitlessRuns >= MAX_FRUITLESS_RUNS
      if (isFruitless) await fail(current, new FruitlessRunsError(id))
      else
        await runSteps(current, createPipelineRun(training, { stages, slots, onSlots, runStep: recordSteps.runStep }))
    } finally {
      removeRestored()
      unfollow()
      await leave(current)
    }
  }

  /** Undefined if the training has failed before its run could be created. */
  async function begin(run: Run<TrainingPayload>, store: RunStore): Promise<TrainingRun | undefined> {
    try {
      if (run.claim.run > 1) await deps.sweepTraining(run.record.id)
    } catch (error) {
      if (!isUnclassified(error)) throw error
      return await failWithoutRun(run, error)
    }
    try {
      const training = deps.openRun(toTraining(run.record), run.claim.run, store)
      noteProcess(run, training)
      return training
    } catch (error) {
      return await failWithoutRun(run, error)
    }
  }

  async function writeAgain(store: Pick<RecordStore, 'writeAgain'>, { log }: TrainingRun): Promise<void> {
    try {
      await store.writeAgain()
    } catch (error) {
      log[levelOf(error)]({ err: error }, 'state not written again') // the next state is written in any case
    }
  }

  // Only for display, so nothing waits for it.
  function noteProcess(run: Run<TrainingPayload>, { log }: TrainingRun): void {
    run.update({ workerPid: options.pid }).catch((error: unknown) => log.debug({ err: error }, 'process not noted'))
  }

  // No run settles it, so it is finished here: otherwise its seat stays busy.
  async function failWithoutRun(run: Run<TrainingPayload>, error: unknown): Promise<undefined> {
    deps.log.error({ err: error, trainingId: run.record.id }, 'training failed before it began')
    await run.finish('failed', { errors: errorsAtEnd(run.record.payload, error), facts: failureOf(error) })
  }

  function failureOf(error: unknown): Readonly<Record<string, unknown>> {
    return { failure: toFailureFacts(error, { hostId, at: Date.now() }) }
  }

  async function runSteps(current: CurrentRun, pipelineRun: ReturnType<typeof createPipelineRun>): Promise<void> {
    try {
      await runPipeline(pipelineRun)
      await pipelineRun.cleanUp()
      await finish(current, 'completed')
    } catch (error) {
      await settle(current, error, pipelineRun.cleanUp)
    }
  }

  async function settle(current: CurrentRun, error: unknown, cleanUp: () => Promise<void>): Promise<void> {
    const { run, training } = current
    const { endSignal } = training.stopSwitch
    const reason = endSignal.aborted ? endSignal.reason : error
    if (reason instanceof RunSupersededError || reason instanceof RecordLostError) throw reason
    if (reason instanceof WorkerShutdownError) return await run.release({ isHandBack: true })
    if (isForOtherHosts(reason)) {
      training.log.warn({ err: reason }, 'training handed back for other hosts')
      return await run.release({ pauseMs: FOR_OTHERS_MS, isHandBack: true })
    }
    if (reason instanceof MovesToOtherHostError) {
      await training.checkpoints?.handBack()
      training.log.warn({ err: reason.cause, avoid: reason.avoid }, 'training left to other hosts after failures')
      training.output.write(reason.message)
      return await run.release({ avoid: reason.avoid, avoidMs: reason.avoidMs })
    }
    if (reason instanceof TrainingAbortedError || reason instanceof TrainingStoppedError) {
      await cleanUp()
      return await finish(current, 'aborted')
    }
    await fail(current, reason)
  }

  async function fail(current: CurrentRun, error: unknown): Promise<void> {
    const { training } = current
    const record = await training.record()
    training.log.error({ err: error }, 'training failed')
    const facts = current.isNoted(error) ? {} : failureOf(error)
    // The sentence why there is no further attempt has the last failure in it.
    const isSummary = error instanceof FailsOnEveryHostError || error instanceof FailedTooOftenError
    const errors = isSummary ? withMessage(record, error) : errorsAtEnd(record, error)
    await finish(current, 'failed', { errors, facts })
  }

  async function finish(
    current: CurrentRun,
    outcome: TrainingOutcome,
    patch: Partial<TrainingPayload> = {},
  ): Promise<void> {
    current.training.output.flush() // followers of the log wait a moment for its last lines
    await current.run.finish(outcome, patch)
    await noteEnd(current, outcome)
  }

  // In case Redis loses its last writes. The training has ended, so an error here is only logged.
  async function noteEnd({ run, training }: CurrentRun, outcome: TrainingOutcome): Promise<void> {
    try {
      const record = await trainings.records.load(run.claim.id)
      if (record !== undefined) await deps.endedRuns.note(run.claim, outcome, record.payload)
    } catch (error) {
      training.log.warn({ err: error }, 'end of the training not noted on disk')
    }
  }

  async function leave({ run, training }: CurrentRun): Promise<void> {
    const { id } = training
    training.placeLending?.end()
    await training.checkpoints?.close()
    await training.output.close()
    active.delete(id)
    training.log.info({ run: run.claim.run }, 'training left')
  }

  return {
    kind: 'training',
    records: trainings.records,
    names: deps.names,
    free(name) {
      if (!deps.names().includes(name)) return 0
      if (!deps.isOnTrial('trainer', name)) return places.free
      const hasOne = [...active.values()].some(({ training }) => training.definition.name === name)
      return hasOne ? 0 : Math.min(1, places.free)
    },
    room: (name) => (deps.gpusOf === undefined ? 'now' : slotRoom.roomFor(deps.gpusOf(name))),
    carryOut,
    get active() {
      return [...active.values()].map(({ training }) => training)
    },
    held: () =>
      [...active.values()].map(({ run, training }) => ({
        ...{ what: `training ${training.id}`, run: training.run, folder: training.paths.workspace },
        compare: () => compareClaim(trainings.records, run.claim),
        end: () => undefined, // the renewal of its lease ends it
      })),
  }
}

/** Passes the signals of the run on to the stop switch of its training; returns a function that ends that. */
function follow(run: Run<TrainingPayload>, { stopSwitch, taken }: TrainingRun): () => void {
  const end = () => stopSwitch.end(run.signal.reason)
  const stop = () => stopSwitch.stop()
  if (run.stopSignal.aborted) obeyEarlierStop(stopSwitch, taken.steps.train?.result)
  else run.stopSignal.addEventListener('abort', stop, { once: true })
  if (run.signal.aborted) end()
  else run.signal.addEventListener('abort', end, { once: true })
  const unfollow = run.onStopAgain(stop)
  return () => {
    unfollow()
    run.stopSignal.removeEventListener('abort', stop)
    run.signal.removeEventListener('abort', end)
  }
}

const reasons: Readonly<Record<Offered, string>> = {
  created: 'ordered',
  expired: 'lease expired',
  released: 'handed back',
  'taken-back': 'earlier life of this host died',
  reopened: 'retried',
}

/** Why a host takes a record, for its log, and which host had it before. */
function whyTaken({ offered, record }: Pick<Run<unknown>, 'offered' | 'record'>) {
  return { reason: reasons[offered], ...(record.host !== null && { lastHost: record.host }) }
}
