import { z } from 'zod'
import { categorySchema } from './category.js'
import { hyperparametersSchema } from './hyperparameters.js'
import { orNull } from './optional.js'

const shared = { categories: z.array(categorySchema), training_number: z.int().min(0) }

// Releases 0.10 and 0.11 take orders without the two flips.
const flip = z
  .boolean()
  .nullish()
  .transform((value) => value ?? false)

/** Third argument of `begin_training` in dialect 0.8; `id` is a model's uuid or the name of a pretrained model. */
export const beginTraining08Schema = z.looseObject({
  ...shared,
  id: z.string().min(1),
  resolution: z.int().min(1),
  flip_rl: flip,
  flip_ud: flip,
})
export type BeginTraining08 = z.infer<typeof beginTraining08Schema>

/** Third argument of `begin_training` in the current dialect. */
export const beginTrainingCurrentSchema = z.looseObject({
  ...shared,
  model_variant: z.string(),
  base_model_uuid: orNull(z.string()),
  hyperparameters: hyperparametersSchema,
})
export type BeginTrainingCurrent = z.infer<typeof beginTrainingCurrentSchema>
