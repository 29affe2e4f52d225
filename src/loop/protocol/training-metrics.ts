import { z } from 'zod'
import type { Dialect } from './enums.js'
import {
  type Hyperparameters,
  hyperparameters08Schema,
  hyperparametersSchema,
  toHyperparameters08,
} from './hyperparameters.js'
import { orNull } from './optional.js'

const count = z.int().min(0)

/** Counts of one category at the best checkpoint; the Loop shows them beside the model. */
export const classMetricsSchema = z.object({ tp: count, fp: count, fn: count })
export type ClassMetrics = z.infer<typeof classMetricsSchema>

/** Counts per category id; categories may be missing, and an empty object is legal. */
export const confusionMatrixSchema = z.record(z.string(), classMetricsSchema)
export type ConfusionMatrix = z.infer<typeof confusionMatrixSchema>

const shared = {
  trainer_id: z.string().min(1),
  confusion_matrix: confusionMatrixSchema,
  train_image_count: count,
  test_image_count: count,
}

/** Third argument of `update_training` in dialect 0.8. */
export const trainingMetrics08Schema = z.object({ ...shared, hyperparameters: orNull(hyperparameters08Schema) })
export type TrainingMetrics08 = z.infer<typeof trainingMetrics08Schema>

/** Third argument of `update_training` in the current dialect. */
export const trainingMetricsCurrentSchema = z.object({
  ...shared,
  trainer_name: orNull(z.string()),
  hyperparameters: hyperparametersSchema,
  best_epoch: orNull(z.int()),
})
export type TrainingMetricsCurrent = z.infer<typeof trainingMetricsCurrentSchema>

/** Third argument of `update_training` as a Loop that serves both dialects reads it. */
export const trainingMetricsSchema = z.object({
  ...shared,
  trainer_name: orNull(z.string()),
  hyperparameters: orNull(hyperparametersSchema),
  best_epoch: orNull(z.int()),
})
export type TrainingMetrics = z.infer<typeof trainingMetricsSchema>

/** A new best state of a training, in our words. */
export type MetricsView = {
  readonly trainerId: string
  readonly trainerName: string | null
  readonly confusionMatrix: Readonly<ConfusionMatrix>
  readonly trainImageCount: number
  readonly testImageCount: number
  readonly hyperparameters: Readonly<Hyperparameters>
  readonly bestEpoch: number | null
}

/** Builds the third argument of `update_training`. */
export function toTrainingMetrics(view: MetricsView, dialect: '0.8'): TrainingMetrics08
export function toTrainingMetrics(view: MetricsView, dialect: 'current'): TrainingMetricsCurrent
export function toTrainingMetrics(view: MetricsView, dialect: Dialect): TrainingMetrics08 | TrainingMetricsCurrent
export function toTrainingMetrics(view: MetricsView, dialect: Dialect): TrainingMetrics08 | TrainingMetricsCurrent {
  const metrics = {
    trainer_id: view.trainerId,
    confusion_matrix: toConfusionMatrix(view.confusionMatrix),
    train_image_count: view.trainImageCount,
    test_image_count: view.testImageCount,
  }
  if (dialect === '0.8') return { ...metrics, hyperparameters: toHyperparameters08(view.hyperparameters) }
  return {
    ...metrics,
    trainer_name: view.trainerName,
    hyperparameters: { ...view.hyperparameters },
    best_epoch: view.bestEpoch,
  }
}

function toConfusionMatrix(matrix: Readonly<ConfusionMatrix>): ConfusionMatrix {
  return Object.fromEntries(Object.entries(matrix).map(([id, { tp, fp, fn }]) => [id, { tp, fp, fn }]))
}
