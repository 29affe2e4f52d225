import type { TrainingOrder } from '../../loop/protocol/index.js'
import type { IntentKind } from '../records/record-schema.js'
import type { RunInRedis } from '../records/records.js'
import type { TrainingLog } from '../records/training-log.js'
import type { Promptly, Subscription } from '../redis/index.js'
import type { TrainingCurve } from './training-curve.js'
import type { TrainingRecord } from './training-record.js'

type AcceptedOrder =
  | { readonly outcome: 'accepted' | 'same'; readonly training: TrainingRecord }
  | { readonly outcome: 'refused'; readonly reason: string }

export type Reopened =
  | { readonly outcome: 'reopened'; readonly training: TrainingRecord }
  | { readonly outcome: 'refused'; readonly reason: string }

/** The outcome of a request: a host will receive it, it has ended the training, or the training had ended before. */
type RequestOutcome = 'asked' | 'ended' | 'ended-before'

export type TrainingReader = {
  load(id: string): Promise<TrainingRecord | undefined>
  /** By id, unique prefix (otherwise LF_TRAINING_AMBIGUOUS), or organization/project#number. */
  find(idOrPrefixOrName: string): Promise<TrainingRecord | undefined>
  /** The newest first. */
  list(options?: {
    readonly limit?: number
    readonly offset?: number
    readonly unfinishedOnly?: boolean
  }): Promise<readonly TrainingRecord[]>
  count(options?: { readonly unfinishedOnly?: boolean }): Promise<number>
  /** Number of trainings that wait for a host, by trainer. */
  countWaiting(): Promise<Readonly<Record<string, number>>>
  unfinishedOfSeat(uuid: string): Promise<TrainingRecord | undefined>
  /** Trainings of a seat that have ended, which the Loop has not acknowledged. */
  unackedEndsOfSeat(uuid: string): Promise<readonly TrainingRecord[]>
  /** Compares an active run with its record: `newer` means that the run must end. */
  compareRun(id: string, run: number, hostId?: string): Promise<RunInRedis>
}

export type TrainingOrders = {
  /** Accepts an order as a new training, finds the training of the same order, or refuses it. */
  accept(order: {
    readonly order: TrainingOrder
    readonly trainer: string
    readonly seat: { readonly uuid: string; readonly name: string }
  }): Promise<AcceptedOrder>
  /** Notes that the Loop has acknowledged the end: from now on the same order is a new training. */
  ackEnd(ended: Pick<TrainingRecord, 'id' | 'seat' | 'endedAt'>): Promise<void>
}

/** The trainings of the fleet as nodes, hosts, dashboard and CLI see them. */
export type TrainingsOfFleet = TrainingLog &
  TrainingCurve &
  TrainingReader &
  TrainingOrders & {
    /** Runs work that the Loop or a person waits for: it is done within three seconds, or refused and not done later. */
    readonly promptly: Promptly
    /** Calls with the id of each training whose status at the Loop changes; after an outage of Redis with those of all unfinished ones. */
    watch(onChange: (id: string) => void): Promise<Subscription>
  }

/** Stop, abort and retry, from anywhere in the fleet. */
export type TrainingControl = {
  /** Durable when it resolves: a host carries it out even if it is down now. A training without a host ends immediately. */
  request(id: string, kind: IntentKind, by: string): Promise<RequestOutcome>
  /** For a training whose record Redis has lost: the host that works on it carries the request out. */
  requestWithoutRecord(id: string, kind: IntentKind, by: string): Promise<void>
  /** Makes a failed training unfinished again, to go on from the step that failed; one that waits for a person waits for hosts again. */
  retry(id: string): Promise<Reopened>
}
