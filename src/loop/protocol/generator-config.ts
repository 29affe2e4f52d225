import { z } from 'zod'
import { loopIdSchema } from './ids.js'

const count = z.int().min(0).max(1_000_000).default(0)

/** Order for a generated project; a missing count is 0. `seed` and `train_share` are our own additions. */
export const generatorConfigSchema = z.looseObject({
  project_name: loopIdSchema,
  inbox: count,
  annotate: count,
  review: count,
  complete: count,
  image_style: z.enum(['beautiful', 'plain']).default('beautiful'),
  box_categories: count,
  point_categories: count,
  segmentation_categories: count,
  thumbs: z.boolean().default(false),
  tags: count,
  trainings: count,
  box_detections: count,
  box_annotations: count,
  seed: z.int().optional(),
  train_share: z.number().min(0).max(1).optional(),
})
export type GeneratorConfig = z.infer<typeof generatorConfigSchema>
