import type { Closers } from '../base/closers.js'
import type { Logger } from '../base/logger.js'
import type { Context } from '../loop/protocol/index.js'
import type { TrainingRecord } from '../queue/journal.js'
import type { Work } from './engine/pipeline.js'
import type { Places } from './places.js'
import type { HeldWork } from './record-watch.js'
import type { RunStore } from './run-store.js'
import type { Served } from './served.js'
import type { TrainingRun } from './training-run.js'

/** One kind of work of a host, as its worker sees it. */
export type HostWork = {
  /** What the engine claims. */
  readonly works: readonly Work[]
  /** What it works on, to compare with its records. */
  held(): readonly HeldWork[]
  /** Opens what the work needs on this host, and a closer for each; takes none yet. */
  prepare(signal: AbortSignal, closers: Closers): Promise<void>
  /** What the host serves, its places, or a drain has changed; also called when it takes work from now on. */
  follow(): void
}

/** The trainings of a host, whichever engine works on them. */
export type HostTrainings = HostWork & {
  readonly active: readonly { readonly id: string; readonly order: Context }[]
  /** From now on trainings are taken. */
  begin(): void
  /** Programs end politely, and what has not ended is handed back. */
  end(): Promise<void>
}

/** What both engines of trainings are given by the worker. */
export type HostTrainingsDeps = {
  readonly places: Places
  readonly served: Pick<Served, 'has'>
  readonly isDraining: () => boolean
  /** Builds what only a living process holds; throws if this host has no such trainer. */
  readonly openRun: (record: TrainingRecord, run: number, store: RunStore) => TrainingRun
  /** Ends programs of earlier lives of this training on this host. */
  readonly sweepTraining: (trainingId: string) => Promise<void>
  /** Called when a run has left its place. */
  readonly onLeft: () => Promise<void>
  readonly log: Logger
}
