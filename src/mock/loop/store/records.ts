import { z } from 'zod'
import {
  categorySchema,
  confusionMatrixSchema,
  dialects,
  imageSets,
  imageStates,
  segmentationAnnotationSchema,
  trainerStates,
  uploadedImageSchema,
} from '../../../loop/protocol/index.js'

/** Images in the trash are in no list but the one of people. */
export const localImageStates = [...imageStates, 'trash'] as const
export type LocalImageState = (typeof localImageStates)[number]

const box = z.object({ x: z.number(), y: z.number(), width: z.number(), height: z.number() })
const point = z.object({ x: z.number(), y: z.number() })
const named = { category_id: z.string(), category_name: z.string() }

const truthSchema = z.object({
  boxes: z.array(box.extend(named)),
  points: z.array(point.extend(named)),
  segmentations: z.array(z.object({ ...named, points: z.array(point) })),
})

export const imageRecordSchema = z.object({
  id: z.string(),
  created: z.string(),
  state: z.enum(localImageStates),
  set: z.enum(imageSets),
  width: z.int(),
  height: z.int(),
  source: z.string().nullable(),
  tags: z.array(z.string()),
  /** What is really in the image; null for images that nobody has drawn. */
  truth: truthSchema.nullable(),
  /** Whether the truth is handed out as annotations. */
  annotated: z.boolean(),
  /** Polygons made with an annotation tool. */
  segmentations: z.array(segmentationAnnotationSchema),
  /** What an outbox said about it, with the keys of newer clients. */
  metadata: uploadedImageSchema.loose().nullable(),
})
export type ImageRecord = z.infer<typeof imageRecordSchema>

const modelRecordSchema = z.object({
  id: z.string(),
  version: z.string().nullable(),
  formats: z.record(z.string(), z.object({ files: z.array(z.string()), digest: z.string(), created: z.string() })),
  created: z.string(),
  comment: z.string(),
  training_number: z.int().nullable(),
  resolution: z.int().nullable(),
  model_size: z.string().nullable(),
})
export type ModelRecord = z.infer<typeof modelRecordSchema>

/** One accepted `update_training`; its model exists in the list once files are attached to it. */
const trainingPointSchema = z.object({
  model_id: z.string(),
  created: z.string(),
  confusion_matrix: confusionMatrixSchema,
  train_image_count: z.int(),
  test_image_count: z.int(),
  hyperparameters: z.record(z.string(), z.unknown()).nullable(),
  best_epoch: z.int().nullable(),
})

const statusEntrySchema = z.object({
  time: z.number(),
  state: z.enum(trainerStates),
  progress: z.number().nullable(),
  errors: z.record(z.string(), z.string()),
})
export type StatusEntry = z.infer<typeof statusEntrySchema>

const trainingOutcomes = ['completed', 'failed', 'aborted', 'refused'] as const

const trainingRecordSchema = z.object({
  number: z.int(),
  trainer_id: z.string(),
  trainer_name: z.string(),
  dialect: z.enum(dialects),
  order: z.record(z.string(), z.unknown()),
  created: z.string(),
  ended: z.string().nullable(),
  outcome: z.enum(trainingOutcomes).nullable(),
  /** Whether the trainer has shown itself busy with it. */
  seen_active: z.boolean(),
  requested: z.enum(['stop', 'abort']).nullable(),
  state: z.enum(trainerStates),
  progress: z.number().nullable(),
  errors: z.record(z.string(), z.string()),
  train_image_count: z.int().nullable(),
  test_image_count: z.int().nullable(),
  skipped_image_count: z.int().nullable(),
  points: z.array(trainingPointSchema),
  history: z.array(statusEntrySchema),
})
export type TrainingRecord = z.infer<typeof trainingRecordSchema>

export const projectRecordSchema = z.object({
  organization: z.string(),
  project: z.string(),
  created: z.string(),
  categories: z.array(categorySchema),
  models: z.array(modelRecordSchema),
  trainings: z.array(trainingRecordSchema),
  target: z.string().nullable(),
  novelty_scores: z.record(z.string(), z.number()),
})
export type ProjectRecord = z.infer<typeof projectRecordSchema>
