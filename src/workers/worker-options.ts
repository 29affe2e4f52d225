import type { Logger } from '../base/logger/index.js'
import type { TrainerDefinition } from '../executors/definition/index.js'
import type { OfferFilter, Slots } from '../executors/gpu/index.js'
import type { Converter } from '../executors/program/index.js'
import type { Conversions, Fleet, Queues, Trainings } from '../queue/index.js'
import type { RedisLink } from '../queue/redis/index.js'
import type { PreflightLimits } from './preflights.js'
import type { StageDeps } from './trainings/stages/stage.js'
import type { WorkspaceKeeperOptions } from './workspaces/index.js'

export type WorkerOptions = {
  readonly hostId: string
  /** Machine and data folder: another owner of this host's name is refused, a restart of this one is not. */
  readonly owner?: string
  readonly dataFolder: string
  /** What programs may inherit from; secrets are kept back by an allow-list. */
  readonly programEnv: Readonly<Record<string, string | undefined>>
  readonly trainers: readonly TrainerDefinition[]
  readonly converters?: readonly Converter[]
  /** Trainings, and conversions, at the same time; one more than slots by default, which fetches its data meanwhile. */
  readonly places?: number | undefined
  /** After so long of waiting for the Loop outside of `train` a training lends its place to another. */
  readonly lendPlaceAfterMs?: number
  /** How long a record stays with a host that does not renew its lease; then another host takes it over. */
  readonly lockMs?: number
  /** Which workspaces of ended trainings are kept. */
  readonly keep?: Partial<Omit<WorkspaceKeeperOptions, 'dataFolder'>>
  readonly preflight?: PreflightLimits
  /** A folder that all hosts see, and how often a changed checkpoint is packed into it. */
  readonly checkpoints?: { readonly folder: string; readonly everyMs: number } | undefined
}

export type WorkerDeps = {
  readonly link: RedisLink
  readonly queues: Queues
  readonly fleet: Fleet
  readonly slots: Slots
  /** What the slots are made of. */
  readonly gpus: OfferFilter
  readonly stageDeps: StageDeps
  readonly trainings: Trainings
  readonly conversions?: Conversions
  /** REST address of the Loop, for authors of converters. */
  readonly loopAddress?: string
  /** SIGKILLs processes whose owner mark matches; returns their ids. */
  readonly sweepOwned: (matches: (owner: string) => boolean) => Promise<number[]>
  readonly log: Logger
}
