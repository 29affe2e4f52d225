import { z } from 'zod'

/** Body of a node's switches (`PUT /debug_logging`, `PUT /socketio`, …). */
export const switchSchema = z.enum(['on', 'off'])

/** Body of the trainer's test endpoint `PUT /error_configuration`: which step is to fail. */
export const errorConfigurationSchema = z.object({
  begin_training: z.boolean().default(false),
  save_model: z.boolean().default(false),
  get_new_model: z.boolean().default(false),
  crash_training: z.boolean().default(false),
})
export type ErrorConfiguration = z.infer<typeof errorConfigurationSchema>
