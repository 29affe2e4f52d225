import { z } from 'zod'
import { categorySchema } from './category.js'
import { listOf, orNull } from './optional.js'

/** Body of a failed REST call. */
export const errorDetailSchema = z.looseObject({ detail: z.unknown() })

/** Answer to `paths.data`: ids of the images in the asked state, and the project's categories. */
export const dataAnswerSchema = z.looseObject({
  image_ids: z.array(z.string().min(1)),
  categories: listOf(categorySchema),
})
export type DataAnswer = z.infer<typeof dataAnswerSchema>

/** A model in the project's list; without a version it is not published. */
export const modelEntrySchema = z.looseObject({
  id: z.string().min(1),
  version: orNull(z.string()),
  formats: listOf(z.string()),
  created: orNull(z.string()),
  comment: orNull(z.string()),
  host: orNull(z.string()),
})
export type ModelEntry = z.infer<typeof modelEntrySchema>

/** Answer to `paths.models`. */
export const modelsAnswerSchema = z.looseObject({ models: z.array(modelEntrySchema) })
export type ModelsAnswer = z.infer<typeof modelsAnswerSchema>

/** A project in the Loop's list; `resource` is its path without `/api`. */
export const projectEntrySchema = z.looseObject({
  organization_id: z.string(),
  project_id: z.string(),
  resource: z.string(),
})
export type ProjectEntry = z.infer<typeof projectEntrySchema>

/** Answer to `paths.projects`. */
export const projectsAnswerSchema = z.looseObject({ projects: z.array(projectEntrySchema) })
export type ProjectsAnswer = z.infer<typeof projectsAnswerSchema>

/** Answer to `paths.project`. */
export const projectAnswerSchema = z.looseObject({ categories: z.array(categorySchema) })
export type ProjectAnswer = z.infer<typeof projectAnswerSchema>

/** Answer to `paths.deploymentTarget`: the model that the project's detectors are to run. */
export const deploymentTargetSchema = z.looseObject({ model_uuid: z.string().min(1), version: z.string().min(1) })
export type DeploymentTarget = z.infer<typeof deploymentTargetSchema>

/** Answer to a model upload: the model's id, the same for all formats of one training. */
export const modelUploadAnswerSchema = z.looseObject({ id: z.string().min(1) })
export type ModelUploadAnswer = z.infer<typeof modelUploadAnswerSchema>

/** Answer to `paths.trainings`; the first point of the first chart is the latest model. */
export const trainingsAnswerSchema = z.looseObject({
  charts: z.array(z.looseObject({ data: z.array(z.looseObject({ model_id: z.string() })) })),
})
export type TrainingsAnswer = z.infer<typeof trainingsAnswerSchema>

/** Body of `paths.noveltyScores`: a score per image id. */
export const noveltyScoresSchema = z.record(z.string(), z.number())

/** Form of `paths.login`. */
export const loginFormSchema = z.object({ username: z.string().default(''), password: z.string().default('') })
