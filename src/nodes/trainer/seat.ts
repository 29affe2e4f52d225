import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { type Closers, RunSupersededError, type Service, WorkerShutdownError } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import type { LoopSocket } from '../../loop/client/socket/index.js'
import {
  type Dialect,
  nodeEventAckMs,
  parseBeginTraining,
  toTrainerStatus,
  toTrainingMetrics,
  warningsAboutOrder,
} from '../../loop/protocol/index.js'
import {
  type Fleet,
  type IntentKind,
  isWaiting,
  type JobHandle,
  type MetricsJob,
  metricsJobSchema,
  type Queues,
  queueNames,
  RecordLostError,
  type TrainingControl,
  type TrainingRecord,
  type TrainingsOfFleet,
  type WaitingReason,
  whyTrainingWaits,
} from '../../queue/index.js'
import { withoutDeadline } from '../../queue/redis/index.js'
import {
  createLoopNode,
  type LoopNode,
  LoopRefusedError,
  type NodeIdentity,
  SeatBusyError,
  type StatusCause,
} from '../index.js'
import type { TrainerProfile } from './profile.js'
import { toSeatStatus, withoutHost } from './seat-status.js'
import { createSeatTraining } from './seat-training.js'

const LOST_RECORD_POLL_MS = 500

export type SeatOptions = {
  readonly identity: NodeIdentity
  readonly owner?: string
  readonly profile: TrainerProfile
  readonly dialect: Dialect
  readonly heartbeatMs?: number
  readonly muted?: boolean
  /** How long the Loop may take to answer a status. */
  readonly statusAckMs?: number
}

export type SeatDeps = {
  /** Creates a socket that is not started. */
  readonly createSocket: () => LoopSocket
  readonly queues: Queues
  readonly trainings: TrainingsOfFleet & TrainingControl
  readonly fleet: Fleet
  readonly log: Logger
  readonly now: () => number
  /** Called at every report: whether the seat has a training, and whether the Loop has acknowledged the end of one. */
  readonly onReport?: (report: { readonly isBusy: boolean; readonly hasEnded: boolean }) => void
}

/** One trainer identity at the Loop: takes orders, reports its training, passes its metrics on. */
export type Seat = Service &
  Pick<LoopNode, 'setOnline' | 'sendStatus' | 'whenConnected' | 'whyNotReady' | 'over'> & {
    /** A training has changed. If this seat has it, or has none, a status is sent. */
    trainingChanged(trainingId: string): void
    /** Aborts the training of this seat, if there is one. */
    reset(): Promise<void>
  }

export function createSeat(options: SeatOptions, deps: SeatDeps): Seat {
  const { identity, profile, dialect } = options
  const { trainings, queues } = deps
  const log = deps.log.child({ component: 'seat', seat: identity.name })
  const seatTraining = createSeatTraining(identity, { trainings, log })
  const node = createLoopNode(
    { ...options, reconnectsWhenRefused: true },
    {
      open,
      events: {
        begin_training: (...args) => inTurn((refused) => begin(args[0], args[1], args[2], refused)),
        stop_training: () => inTurn((refused) => request('stop', refused)),
        abort_training: () => inTurn((refused) => request('abort', refused)),
      },
      report,
      announcement: () => ({
        type: 'trainer',
        trainer: profile.name,
        errors: seatTraining.lost === undefined ? [] : [seatTraining.lost],
      }),
    },
    { ...deps, log },
  )
  let current: TrainingRecord | undefined
  /** The last acknowledged status had errors. Before the seat becomes idle a status without them is sent, or the Loop reads them as a failed training. */
  let hasReportedErrors = false
  let lastTurn: Promise<unknown> = Promise.resolve()

  async function open(signal: AbortSignal, closers: Closers): Promise<void> {
    current = (await seatTraining.read()).training
    signal.throwIfAborted()
    const settings = { concurrency: 1, schema: metricsJobSchema }
    const metrics = queues.consume(queueNames.node(identity.uuid), passMetrics, settings)
    // A point that waits for the Loop goes back to the queue, until the seat is started again.
    closers.add('metrics', () => metrics.close({ cancel: new WorkerShutdownError() }))
    deps.onReport?.({ isBusy: current !== undefined, hasEnded: false })
  }

  // One event at a time: a stop that follows its order must find the record, also if the two events came over different connections.
  async function inTurn(handle: (refused: AbortSignal) => Promise<() => Promise<void>>): Promise<true> {
    const turn = trainings.promptly(handle, { after: lastTurn })
    lastTurn = turn
    const finish = await turn
    await finish()
    return true
  }

  /** Resolves when the order is in Redis, with the rest of the work: to log and to send the status. */
  async function begin(
    organization: unknown,
    project: unknown,
    config: unknown,
    refused: AbortSignal,
  ): Promise<() => Promise<void>> {
    const order = parseBeginTraining(organization, project, config)
    for (const warning of warningsAboutOrder(config)) log.warn(warning)
    const { lost, training: known } = await seatTraining.read()
    const isRecordLost = lost !== undefined && (await trainings.unfinishedOfSeat(identity.uuid))?.id !== known?.id
    if (isRecordLost) throw new SeatBusyError(lost)
    const accepted = await trainings.accept({ order, trainer: profile.name, seat: identity })
    if (accepted.outcome === 'refused') throw new SeatBusyError(accepted.reason)
    const { training } = accepted
    if (refused.aborted && accepted.outcome === 'accepted') await abortRefused(training)
    seatTraining.accepted(training)
    if (!isDeepStrictEqual(training.order, order)) {
      log.warn({ trainingId: training.id }, 'order repeated with other details, which are ignored')
    }
    return async () => {
      log.info({ trainingId: training.id, outcome: accepted.outcome, number: order.trainingNumber }, 'order taken')
      node.sendStatus()
    }
  }

  /** For an order that was refused to the Loop, since the answer of Redis came too late, although Redis has created the record. */
  async function abortRefused({ id }: TrainingRecord): Promise<never> {
    log.warn({ trainingId: id }, 'order aborted: it was refused, since the answer of Redis came too late')
    await withoutDeadline(() => trainings.request(id, 'abort', 'refused order'))
    throw new SeatBusyError('The order was refused.')
  }

  async function request(kind: IntentKind, refused: AbortSignal): Promise<() => Promise<void>> {
    const training = await trainings.unfinishedOfSeat(identity.uuid)
    refused.throwIfAborted()
    if (training !== undefined) await trainings.request(training.id, kind, 'loop')
    const lost = training === undefined ? seatTraining.forgetLost() : undefined
    if (lost !== undefined) await trainings.requestWithoutRecord(lost.id, kind, 'loop')
    return async () => {
      log.info({ kind, trainingId: training?.id ?? lost?.id }, 'asked to end the training')
      if (lost !== undefined) node.sendStatus()
    }
  }

  function trainingChanged(trainingId: string): void {
    // An idle seat sends a status too: a retry may have given it this training.
    if (current === undefined || current.id === trainingId) node.sendStatus('change')
  }

  async function report(causes: ReadonlySet<StatusCause>): Promise<boolean> {
    const isChange = causes.size === 1 && causes.has('change')
    const before = current
    const { training, ended } = await seatTraining.read()
    current = training
    const isOurs = before !== undefined || current !== undefined || ended.length > 0
    deps.onReport?.({ isBusy: current !== undefined, hasEnded: false })
    if (!node.isConnected() || (isChange && !isOurs)) return false
    for (const each of ended) if (hasReportedErrors || hasErrors(each)) await emitStatus(each)
    const isAcked = await emitStatus(await withWaitingReason(current))
    if (!isAcked || ended.length === 0) return isAcked
    for (const each of ended) await trainings.ackEnd(each)
    deps.onReport?.({ isBusy: current !== undefined, hasEnded: true })
    return true
  }

  async function withWaitingReason(training: TrainingRecord | undefined): Promise<TrainingRecord | undefined> {
    if (training === undefined || !isWaiting(training)) return training
    const reason = whyTrainingWaits(training, { hosts: await deps.fleet.hosts() })
    return reason !== undefined && isForPeople(reason, training) ? withoutHost(training, reason.sentence) : training
  }

  /** Returns whether the Loop has acknowledged the status. */
  async function emitStatus(training: TrainingRecord | undefined): Promise<boolean> {
    const status = toTrainerStatus(toSeatStatus(identity, profile, training, deps.now()), dialect)
    const { statusAckMs = nodeEventAckMs.update_trainer } = options
    const { success } = await node.emitStatus('update_trainer', [status], statusAckMs)
    if (success) hasReportedErrors = training !== undefined && hasErrors(training)
    return success
  }

  async function passMetrics(job: JobHandle<MetricsJob>, signal: AbortSignal): Promise<unknown> {
    const { trainingId, run, organization, project, point } = job.data
    await untilRunIsCurrent({ trainingId, run }, signal)
    await node.whenConnected({ signal })
    const view = {
      trainerId: identity.uuid,
      trainerName: identity.name,
      confusionMatrix: point.confusionMatrix,
      trainImageCount: point.trainImageCount ?? 0,
      testImageCount: point.testImageCount ?? 0,
      hyperparameters: point.hyperparameters ?? {},
      bestEpoch: point.epoch,
    }
    const metrics = toTrainingMetrics(view, dialect)
    const waiting = { timeoutMs: nodeEventAckMs.update_training, signal }
    const answer = await node.emit('update_training', [organization, project, metrics], waiting)
    if (!answer.success) throw new LoopRefusedError('update_training', answer.error_msg)
    await job.log(`point ${job.data.sequence} of epoch ${point.epoch} acked by the Loop`)
    return { acked: true }
  }

  // While the seat waits for a lost record, its points wait too: their job must not fail before the record is back. Nobody
  // waits for one that the seat has given up, and it must not hold up the points of the next training.
  async function untilRunIsCurrent({ trainingId, run }: { trainingId: string; run: number }, signal: AbortSignal) {
    for (;;) {
      const { state, found } = await trainings.compareRun(trainingId, run)
      if (state === 'same') return
      if (state === 'newer') throw new RunSupersededError({ trainingId, run })
      if (!seatTraining.has(trainingId)) throw new RecordLostError({ what: `training ${trainingId}`, run, found })
      await sleep(LOST_RECORD_POLL_MS, undefined, { signal })
    }
  }

  return {
    ...node,
    trainingChanged,
    async reset() {
      await inTurn((refused) => request('abort', refused))
      node.sendStatus()
    },
  }
}

/**
 * Whether the Loop shows the reason as an error. Waiting for a free place or for a worker that starts is normal; without any host, an
 * order that no host has claimed yet may have come before the first worker started.
 */
function isForPeople({ kind }: WaitingReason, { run }: TrainingRecord): boolean {
  if (kind === 'no-host') return run > 0
  return kind === 'unfit' || kind === 'draining' || kind === 'held'
}

function hasErrors(training: TrainingRecord): boolean {
  return Object.keys(training.errors).length > 0
}
