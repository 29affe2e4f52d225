import { z } from 'zod'
import { categorySchema, contextSchema } from './category.js'
import { nodeStates } from './enums.js'
import { orNull } from './optional.js'

/** `update_annotation_node`. */
export const annotatorStatusSchema = z.object({
  id: z.string().min(1),
  name: z.string(),
  state: z.enum(nodeStates),
  uptime: z.number(),
  errors: z.record(z.string(), z.string()),
  capabilities: z.array(z.string()),
})
export type AnnotatorStatus = z.infer<typeof annotatorStatusSchema>

/** Builds `update_annotation_node`: nodes report themselves online with an uptime of 0, whatever they do. */
export function toAnnotatorStatus(node: { readonly id: string; readonly name: string }): AnnotatorStatus {
  return { id: node.id, name: node.name, state: 'online', uptime: 0, errors: {}, capabilities: ['segmentation'] }
}

/** `handle_user_input`: what a person did in the Loop's image editor; event types beyond the known ones pass. */
export const userInputSchema = z.looseObject({
  frontend_id: z.string(),
  data: z.looseObject({
    coordinate: z.object({ x: z.int(), y: z.int() }),
    event_type: z.string(),
    context: contextSchema,
    image_uuid: z.string().min(1),
    category: categorySchema,
    key_up: orNull(z.string()),
    key_down: orNull(z.string()),
    epsilon: orNull(z.number()),
    is_shift_key_pressed: orNull(z.boolean()),
  }),
})
export type UserInput = z.infer<typeof userInputSchema>

/** Third argument of `update_segmentation_annotation`; the same id again means a correction. */
export const segmentationAnnotationSchema = z.object({
  id: z.string().min(1),
  shape: z.object({ points: z.array(z.object({ x: z.number(), y: z.number() })) }),
  image_id: z.string().min(1),
  category_id: z.string().min(1),
})
export type SegmentationAnnotation = z.infer<typeof segmentationAnnotationSchema>
