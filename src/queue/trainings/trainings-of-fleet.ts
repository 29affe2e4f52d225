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

/** What became of a request: a host will hear of it, the training has ended by it, or it had ended before. */
type RequestOutcome = 'asked' | 'ended' | 'ended-before'

export type TrainingReader = {
  load(id: string): Promise<TrainingRecord | undefined>
  /** By id, by the unique beginning of one (else LF_TRAINING_AMBIGUOUS), or by organization/project#number. */
  find(idOrPrefixOrName: string): Promise<TrainingRecord | undefined>
  /** The newest first. */
  list(options?: {
    readonly limit?: number
    readonly offset?: number
    readonly unfinishedOnly?: boolean
  }): Promise<readonly TrainingRecord[]>
  count(options?: { readonly unfinishedOnly?: boolean }): Promise<number>
  /** How many wait for a host, by trainer. */
  countWaiting(): Promise<Readonly<Record<string, number>>>
  unfinishedOfSeat(uuid: string): Promise<TrainingRecord | undefined>
  /** Trainings of a seat that have ended, which the Loop has not acknowledged. */
  unackedEndsOfSeat(uuid: string): Promise<readonly TrainingRecord[]>
  /** What Redis has of a run that is at work: `newer` means that it must end. */
  compareRun(id: string, run: number, hostId?: string): Promise<RunInRedis>
}

export type TrainingOrders = {
  /** Decides whether an order is a new training, one we have, or none we can take now. */
  accept(order: {
    readonly order: TrainingOrder
    readonly trainer: string
    readonly seat: { readonly uuid: string; readonly name: string }
  }): Promise<AcceptedOrder>
  /** The Loop has acknowledged the status after this end: from now on the same order is a new training. */
  ackEnd(ended: Pick<TrainingRecord, 'id' | 'seat' | 'endedAt'>): Promise<void>
}

/** The trainings of the fleet as nodes, hosts, dashboard and CLI see them. */
export type TrainingsOfFleet = TrainingLog &
  TrainingCurve &
  TrainingReader &
  TrainingOrders & {
    /** For what somebody waits for: done within three seconds, or refused, and then not done later either. */
    readonly promptly: Promptly
    /** Hears the id of every training of which something the Loop sees has changed; after an outage of Redis those of all unfinished ones. */
    watch(onChange: (id: string) => void): Promise<Subscription>
  }

/** Stop, abort and retry, from anywhere in the fleet. */
export type TrainingControl = {
  /** Durable when it resolves: obeyed even if the host is down. A training that no host has ends immediately. */
  request(id: string, kind: IntentKind, by: string): Promise<RequestOutcome>
  /** For a training whose record Redis has lost: a host that has it at work obeys. */
  requestWithoutRecord(id: string, kind: IntentKind, by: string): Promise<void>
  /** Makes a failed training unfinished again, to go on from the step that failed; one that waits for a person waits for hosts again. */
  retry(id: string): Promise<Reopened>
}
