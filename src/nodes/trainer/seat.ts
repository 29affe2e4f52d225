import { isDeepStrictEqual } from 'node:util'
import { type Closers, RunSupersededError, type Service, WorkerShutdownError } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import type { LoopSocket } from '../../loop/client/socket/index.js'
import {
  type Dialect,
  doubtsAboutOrder,
  nodeEventAckMs,
  parseBeginTraining,
  toTrainerStatus,
  toTrainingMetrics,
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
  /** A fresh socket, not started. */
  readonly createSocket: () => LoopSocket
  readonly queues: Queues
  readonly trainings: TrainingsOfFleet & TrainingControl
  readonly fleet: Fleet
  readonly log: Logger
  readonly now: () => number
  /** Called at every report: whether the seat has a training, and whether the Loop has acknowledged the end of one. */
  readonly onLook?: (look: { readonly isBusy: boolean; readonly hasEnded: boolean }) => void
}

/** One trainer identity at the Loop: takes orders, reports its training, passes its metrics on. */
export type Seat = Service &
  Pick<LoopNode, 'setOnline' | 'sendStatus' | 'whenConnected' | 'whyNotReady' | 'over'> & {
    /** A training has changed; the seat reports it immediately when it is its own. */
    trainingChanged(trainingId: string): void
    /** Aborts its training, if it has one. */
    reset(): Promise<void>
  }

export function createSeat(options: SeatOptions, deps: SeatDeps): Seat {
  const { identity, profile, dialect } = options
  const { trainings, queues } = deps
  const log = deps.log.child({ component: 'seat', seat: identity.name })
  const own = createSeatTraining(identity, { trainings, log })
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
        errors: own.lost === undefined ? [] : [own.lost],
      }),
    },
    { ...deps, log },
  )
  let current: TrainingRecord | undefined
  /** The last status had errors; if they have gone since, the Loop must not take them for the end of the training. */
  let hasReportedErrors = false
  let lastTurn: Promise<unknown> = Promise.resolve()

  async function open(signal: AbortSignal, closers: Closers): Promise<void> {
    current = (await own.read()).training
    signal.throwIfAborted()
    const settings = { concurrency: 1, schema: metricsJobSchema }
    const metrics = queues.consume(queueNames.node(identity.uuid), passMetrics, settings)
    // A point that waits for the Loop goes back to the queue, for the seat's next life.
    closers.add('metrics', () => metrics.close({ cancel: new WorkerShutdownError() }))
    deps.onLook?.({ isBusy: current !== undefined, hasEnded: false })
  }

  // A stop that comes right behind its order must find it, also when they came over two connections.
  async function inTurn(obey: (refused: AbortSignal) => Promise<() => Promise<void>>): Promise<true> {
    const turn = trainings.promptly(obey, { after: lastTurn })
    lastTurn = turn
    const finish = await turn
    await finish()
    return true
  }

  /** Answers what is left to do when the order is durable. */
  async function begin(
    organization: unknown,
    project: unknown,
    config: unknown,
    refused: AbortSignal,
  ): Promise<() => Promise<void>> {
    const order = parseBeginTraining(organization, project, config)
    for (const doubt of doubtsAboutOrder(config)) log.warn(doubt)
    const { lost, training: held } = await own.read()
    const isGone = lost !== undefined && (await trainings.unfinishedOfSeat(identity.uuid))?.id !== held?.id
    if (isGone) throw new SeatBusyError(lost)
    const accepted = await trainings.accept({ order, trainer: profile.name, seat: identity })
    if (accepted.outcome === 'refused') throw new SeatBusyError(accepted.reason)
    const { training } = accepted
    if (refused.aborted && accepted.outcome === 'accepted') await takeBack(training)
    own.hold(training)
    if (!isDeepStrictEqual(training.order, order)) {
      log.warn({ trainingId: training.id }, 'order repeated with other details, which are ignored')
    }
    return async () => {
      log.info({ trainingId: training.id, outcome: accepted.outcome, number: order.trainingNumber }, 'order taken')
      node.sendStatus()
    }
  }

  /** Redis had carried the order out in time, but its answer came too late. */
  async function takeBack({ id }: TrainingRecord): Promise<never> {
    log.warn({ trainingId: id }, 'order aborted: it was refused, since the answer of Redis came too late')
    await withoutDeadline(() => trainings.request(id, 'abort', 'refused order'))
    throw new SeatBusyError('The order was refused.')
  }

  async function request(kind: IntentKind, refused: AbortSignal): Promise<() => Promise<void>> {
    const training = await trainings.unfinishedOfSeat(identity.uuid)
    refused.throwIfAborted()
    if (training !== undefined) await trainings.request(training.id, kind, 'loop')
    const lost = training === undefined ? own.giveUpLost() : undefined
    if (lost !== undefined) await trainings.requestWithoutRecord(lost.id, kind, 'loop')
    return async () => {
      log.info({ kind, trainingId: training?.id ?? lost?.id }, 'asked to end the training')
      if (lost !== undefined) node.sendStatus()
    }
  }

  function trainingChanged(trainingId: string): void {
    // An idle seat reads its training too: it may be its own, given to it by a retry.
    if (current === undefined || current.id === trainingId) node.sendStatus('change')
  }

  async function report(causes: ReadonlySet<StatusCause>): Promise<boolean> {
    const isChange = causes.size === 1 && causes.has('change')
    const before = current
    const { training, ends } = await own.read()
    current = training
    const isOurs = before !== undefined || current !== undefined || ends.length > 0
    deps.onLook?.({ isBusy: current !== undefined, hasEnded: false })
    if (!node.isConnected() || (isChange && !isOurs)) return false
    for (const ended of ends) if (hasReportedErrors || hasErrors(ended)) await emitStatus(ended)
    const isAcked = await emitStatus(await withItsHosts(current))
    if (!isAcked || ends.length === 0) return isAcked
    for (const ended of ends) await trainings.ackEnd(ended)
    deps.onLook?.({ isBusy: current !== undefined, hasEnded: true })
    return true
  }

  async function withItsHosts(training: TrainingRecord | undefined): Promise<TrainingRecord | undefined> {
    if (training === undefined || !isWaiting(training)) return training
    const reason = whyTrainingWaits(training, { hosts: await deps.fleet.hosts() })
    return reason !== undefined && isForPeople(reason, training) ? withoutHost(training, reason.sentence) : training
  }

  /** Whether the Loop has acknowledged it. */
  async function emitStatus(training: TrainingRecord | undefined): Promise<boolean> {
    const status = toTrainerStatus(toSeatStatus(identity, profile, training, deps.now()), dialect)
    const { statusAckMs = nodeEventAckMs.update_trainer } = options
    const { success } = await node.emitStatus('update_trainer', [status], statusAckMs)
    if (success) hasReportedErrors = training !== undefined && hasErrors(training)
    return success
  }

  async function passMetrics(job: JobHandle<MetricsJob>, signal: AbortSignal): Promise<unknown> {
    const { trainingId, run, organization, project, point } = job.data
    await checkRun(trainingId, run)
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

  // A point waits for its record: a later take of the training may have the same run again, and the same point.
  async function checkRun(trainingId: string, run: number): Promise<void> {
    const { state, found } = await trainings.compareRun(trainingId, run)
    if (state === 'newer') throw new RunSupersededError({ trainingId, run })
    if (state === 'lost') throw new RecordLostError({ what: `training ${trainingId}`, run, found }, 'transient')
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
 * The Loop shows what is sent as an error. To wait for a place, or for a worker that starts, is none; an order that no host has had
 * yet may be there before the first worker.
 */
function isForPeople({ kind }: WaitingReason, { run }: TrainingRecord): boolean {
  if (kind === 'no-host') return run > 0
  return kind === 'unfit' || kind === 'draining'
}

function hasErrors(training: TrainingRecord): boolean {
  return Object.keys(training.errors).length > 0
}
