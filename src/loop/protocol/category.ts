import { z } from 'zod'
import { loopIdSchema } from './ids.js'
import { orNull } from './optional.js'

/** A thing that is labelled in a project. The order of a training's categories is the class order of its model. */
export const categorySchema = z.object({
  id: z.string().min(1),
  name: z.string(),
  description: orNull(z.string()),
  hotkey: orNull(z.string()),
  color: orNull(z.string()),
  point_size: orNull(z.int()),
  type: orNull(z.string()),
})
export type Category = z.infer<typeof categorySchema>

/** The project that something belongs to. */
export const contextSchema = z.object({ organization: loopIdSchema, project: loopIdSchema })
export type Context = z.infer<typeof contextSchema>
