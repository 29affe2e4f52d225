import type { TrainerStatusView } from '../../loop/protocol/index.js'
import type { TrainingRecord } from '../../queue/index.js'
import type { NodeIdentity } from '../index.js'
import type { TrainerProfile } from './profile.js'

/** The status of a training that waits because no host can work on it: the state of a new order, with the reason as an error. */
export function withoutHost(training: TrainingRecord, reason: string): TrainingRecord {
  return { ...training, state: 'initialized', progress: null, errors: { ...training.errors, prepare: reason } }
}

/** The status of a seat at the Loop: its training from the record, or idle. `nowMs` is wall-clock time. */
export function toSeatStatus(
  identity: NodeIdentity,
  profile: TrainerProfile,
  training: TrainingRecord | undefined,
  nowMs: number,
): TrainerStatusView {
  const shared = {
    id: identity.uuid,
    name: identity.name,
    pretrainedModels: profile.models,
    architecture: profile.architecture,
  }
  if (training === undefined) return { ...shared, ...IDLE }
  return {
    ...shared,
    // One last status carries the errors of a training that has ended; then the seat is idle.
    state: training.endedAt === null ? training.state : 'ready_for_cleanup',
    errors: training.errors,
    uptimeSeconds: (nowMs - training.createdAt) / 1000,
    progress: training.progress,
    context: { organization: training.order.organization, project: training.order.project },
    trainImageCount: training.trainImageCount,
    testImageCount: training.testImageCount,
    skippedImageCount: training.skippedImageCount,
    hyperparameters: training.order.hyperparameters,
  }
}

const IDLE = {
  state: 'idle',
  errors: {},
  uptimeSeconds: null,
  progress: null,
  context: null,
  trainImageCount: null,
  testImageCount: null,
  skippedImageCount: null,
  hyperparameters: null,
} as const
