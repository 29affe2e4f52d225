import { z } from 'zod'
import { categorySchema } from './category.js'
import { nodeStates, operationModes } from './enums.js'
import { listOf, orNull } from './optional.js'

/** The model that a detector runs, as its own API describes it. */
export const modelInfoSchema = z.object({
  id: z.string(),
  host: orNull(z.string()),
  organization: z.string(),
  project: z.string(),
  version: z.string(),
  categories: listOf(categorySchema),
  resolution: orNull(z.int()),
  model_root_path: orNull(z.string()),
  model_size: orNull(z.string()).describe('Current dialect.'),
  conf_threshold: orNull(z.number()).describe('Confidence that its trainer chose (from 0.27.0 on).'),
})
export type ModelInfo = z.infer<typeof modelInfoSchema>

/** Answer of `GET /about` and of the socket event `about`. */
export const aboutAnswerSchema = z.object({
  operation_mode: z.enum(operationModes),
  state: z.enum(nodeStates),
  model_info: orNull(modelInfoSchema),
  target_model: orNull(z.string()),
  version_control: z.string(),
  model_problem: orNull(z.string()).describe('Why no model is loaded; null while one is. loopfleet alone answers it.'),
})
export type AboutAnswer = z.infer<typeof aboutAnswerSchema>

/** Answer of `GET /model_version` and of `get_model_version`; an unknown version is the text `None`. */
export const modelVersionAnswerSchema = z.object({
  current_version: z.string(),
  target_version: z.string(),
  loop_version: z.string(),
  local_versions: z.array(z.string()),
  version_control: z.string(),
})
export type ModelVersionAnswer = z.infer<typeof modelVersionAnswerSchema>

/** A version as the answer spells it. */
export function toVersionText(version: string | null): string {
  return version ?? 'None'
}

/** Body of `PUT /model_version`: a mode, or the version to pin. */
export const versionChoiceSchema = z
  .string()
  .max(100)
  .regex(/^(follow_loop|pause|\d+(\.\d+)*)$/, 'must be "follow_loop", "pause" or a version such as "1.3"')
