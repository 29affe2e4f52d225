import { z } from 'zod'
import { type Category, categorySchema } from './category.js'
import { listOf, orNull } from './optional.js'

/** A downloaded model's `model.json`, which the Loop has completed. */
export const modelJsonSchema = z.looseObject({
  id: z.string().min(1),
  host: orNull(z.string()),
  organization: z.string().min(1),
  project: z.string().min(1),
  version: z.string().min(1),
  format: orNull(z.string()),
  categories: listOf(categorySchema),
  resolution: orNull(z.int().min(1)).describe('Edge of the square that the model sees, in pixels.'),
  model_size: orNull(z.string()).describe('Model variant (current dialect).'),
})
export type ModelJson = z.infer<typeof modelJsonSchema>

/** The `model.json` that a trainer uploads, or that came from elsewhere: nothing but the categories is certain. */
export const uploadedModelJsonSchema = z.looseObject({ categories: listOf(categorySchema) })
export type UploadedModelJson = z.infer<typeof uploadedModelJsonSchema>

/**
 * Builds the `model.json` of a trained model: its categories in class order, each with all seven keys, and the confidence
 * below which its detections do not count, if its trainer has chosen one.
 */
export function toUploadedModelJson(
  categories: readonly Category[],
  confThreshold?: number,
): { categories: Category[]; conf_threshold?: number } {
  const all = categories.map((category) => categorySchema.parse(category))
  return { categories: all, ...(confThreshold !== undefined && { conf_threshold: confThreshold }) }
}

/** Text of a `model.json`; with a blank after each colon, since there are readers that search for `"format": "…"`. */
export function toModelJsonText(modelJson: object): string {
  return `${JSON.stringify(modelJson, null, 2)}\n`
}
