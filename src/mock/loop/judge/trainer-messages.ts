import {
  type Dialect,
  dialectOfTrainerStatus,
  parseTrainerState,
  type TrainerState,
  type TrainerStatus08,
  type TrainerStatusCurrent,
  type TrainingMetrics,
  trainerStatus08Schema,
  trainerStatusCurrentSchema,
  trainingMetrics08Schema,
  trainingMetricsCurrentSchema,
  trainingMetricsSchema,
} from '../../../loop/protocol/index.js'
import { RefusedError } from '../refused-error.js'
import { checked, requireKeys } from './checks.js'

export type JudgedStatus = {
  readonly status: TrainerStatusCurrent
  readonly dialect: Dialect
  readonly state: TrainerState
  /** What dialect 0.8 reports with every status. */
  readonly counts: Pick<TrainerStatus08, 'train_image_count' | 'test_image_count' | 'skipped_image_count'> | null
}

/** Reads `update_trainer` strictly: every key of its dialect, the right types, a known state. */
export function judgeTrainerStatus(value: unknown): JudgedStatus {
  const what = 'update_trainer'
  if (typeof value !== 'object' || value === null) throw new RefusedError(422, `${what}: the status must be an object.`)
  const dialect = dialectOfTrainerStatus(value)
  const schema = dialect === '0.8' ? trainerStatus08Schema : trainerStatusCurrentSchema
  requireKeys(value, Object.keys(schema.shape), what)
  const status = checked(trainerStatusCurrentSchema, value, what)
  const counts = dialect === '0.8' ? checked(trainerStatus08Schema, value, what) : null
  const state = parseTrainerState(status.state, dialect)
  if (state === undefined) {
    throw new RefusedError(
      422,
      `${what}: ${JSON.stringify(status.state)} is no state of a trainer in dialect ${dialect}.`,
    )
  }
  if (dialect === 'current' && status.progress !== null && (status.progress < 0 || status.progress > 1)) {
    throw new RefusedError(422, `${what}: progress must be from 0 to 1, got ${status.progress}.`)
  }
  if (counts === null) return { status, dialect, state, counts }
  const { train_image_count, test_image_count, skipped_image_count } = counts
  return { status, dialect, state, counts: { train_image_count, test_image_count, skipped_image_count } }
}

/** Reads the metrics of `update_training` strictly, in either dialect. */
export function judgeMetrics(value: unknown): TrainingMetrics {
  const what = 'update_training'
  const isCurrent = typeof value === 'object' && value !== null && ('trainer_name' in value || 'best_epoch' in value)
  const schema = isCurrent ? trainingMetricsCurrentSchema : trainingMetrics08Schema
  requireKeys(value, Object.keys(schema.shape), what)
  checked(schema, value, what)
  return checked(trainingMetricsSchema, value, what)
}
