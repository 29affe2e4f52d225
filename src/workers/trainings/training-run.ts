import type { Logger } from '../../base/logger/index.js'
import type { TrainerDefinition } from '../../executors/definition/index.js'
import type { Lease } from '../../executors/gpu/index.js'
import type { TrainingOrder } from '../../loop/protocol/index.js'
import type { CurvePoint, GpusToSpare, TrainingRecord } from '../../queue/index.js'
import { levelOf } from '../../queue/redis-basics/index.js'
import type { Checkpoints } from '../checkpoints/checkpoints.js'
import type { PlaceLending } from '../engine/place-lending.js'
import { createRunOutput, type RunOutput, type WorkspacePaths } from '../workspaces/index.js'
import { createEarlierStarts, type EarlierStarts } from './earlier-starts.js'
import type { MetricsSync } from './metrics-sync.js'
import type { ModelSets } from './model-sets.js'
import type { RunStore } from './run-store.js'
import type { StopSwitch } from './stop-switch.js'

/**
 * One take of a training by this host. The record is the truth; this holds what only a living process can: the lease, the
 * switch, the sync of metrics.
 */
export type TrainingRun = Pick<RunStore, 'record' | 'update' | 'checkFence' | 'reached'> & {
  readonly id: string
  /** The fence: an older run must not touch anything outside. */
  readonly run: number
  readonly hostId: string
  /** Value of LOOPFLEET_OWNER in every program of this run. */
  readonly owner: string
  /** This host's environment; programs get what is on the allow-list. */
  readonly programEnv: Readonly<Record<string, string | undefined>>
  readonly order: TrainingOrder
  readonly seat: TrainingRecord['seat']
  readonly definition: TrainerDefinition
  readonly paths: WorkspacePaths
  readonly stopSwitch: StopSwitch
  readonly modelSets: ModelSets
  readonly metricsSync: MetricsSync
  /** Only where the hosts have a folder in common. */
  readonly checkpoints?: Checkpoints | undefined
  /** The record as earlier runs have left it; they write no more. */
  readonly taken: TrainingRecord
  readonly log: Logger
  /** The log that people follow. */
  readonly output: RunOutput
  /** What earlier starts of its program have shown. */
  readonly starts: EarlierStarts
  lease: Lease | undefined
  /** Exchanges the GPUs that it has for others, as far as they are free; returns whether it has others now. */
  changeGpus: (how: GpusToSpare) => Promise<boolean>
  /** Learns when a stage waits for something outside, and when it makes progress again. */
  placeLending: PlaceLending | undefined
  /** Notes what was measured in some epochs, for the curves; never fails, since no training ends for a picture. */
  addPoints(points: readonly CurvePoint[]): Promise<void>
}

export type TrainingRunParts = Omit<
  TrainingRun,
  | 'record'
  | 'update'
  | 'addPoints'
  | 'checkFence'
  | 'reached'
  | 'lease'
  | 'changeGpus'
  | 'placeLending'
  | 'output'
  | 'starts'
>

export function createTrainingRun(parts: TrainingRunParts, store: RunStore): TrainingRun {
  const whole = `${parts.paths.log} on ${parts.hostId}`
  return {
    ...parts,
    output: createRunOutput(store.appendLog, { whole }),
    starts: createEarlierStarts(parts.taken, { update: store.update, log: parts.log }),
    lease: undefined,
    changeGpus: async () => false,
    placeLending: undefined,
    record: store.record,
    update: store.update,
    checkFence: store.checkFence,
    reached: store.reached,
    async addPoints(points) {
      await store
        .addPoints(points)
        .catch((error: unknown) => parts.log[levelOf(error)]({ err: error }, 'points of a curve not written'))
    },
  }
}
