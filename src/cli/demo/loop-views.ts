import { z } from 'zod'

const scoreSchema = z.object({ precision: z.number().nullable(), recall: z.number().nullable() })

/** What the demo reads back from the local Loop's control API; only what it prints. */
export const trainingsViewSchema = z.object({
  trainings: z.array(
    z.object({
      project: z.string(),
      number: z.number(),
      state: z.string(),
      progress: z.number().nullable(),
      ended: z.string().nullable(),
      outcome: z.string().nullable(),
      errors: z.record(z.string(), z.string()),
      best_f1: z.number().nullable(),
      points: z.array(z.object({ train_image_count: z.number(), test_image_count: z.number() })),
      models: z.array(z.object({ id: z.string(), version: z.string().nullable(), formats: z.array(z.string()) })),
    }),
  ),
})
export type TrainingView = z.infer<typeof trainingsViewSchema>['trainings'][number]

export const nodesViewSchema = z.object({
  nodes: z.array(z.object({ id: z.string(), state: z.string().nullable(), connected: z.boolean() })),
})

export const evaluationSchema = z.object({
  ...scoreSchema.shape,
  images_with_detections: z.number(),
  image_count: z.number(),
  sets: z.object({ test: scoreSchema, inbox: scoreSchema }),
})
export type Evaluation = z.infer<typeof evaluationSchema>

const pointSchema = z.object({ x: z.number(), y: z.number() })
const imageSchema = z.object({
  id: z.string(),
  width: z.number(),
  height: z.number(),
  segmentation_annotations: z.array(z.object({ shape: z.object({ points: z.array(pointSchema) }) })),
  truth: z
    .object({ segmentations: z.array(z.object({ category_id: z.string(), points: z.array(pointSchema) })) })
    .nullable()
    .transform((truth) => truth ?? { segmentations: [] }),
})
export type LoopImage = z.output<typeof imageSchema>
export const imagesViewSchema = z.object({ total: z.number(), images: z.array(imageSchema) })
export const projectsViewSchema = z.object({
  projects: z.array(z.object({ project: z.string(), categories: z.array(z.looseObject({ id: z.string() })) })),
})
export const inputAnswerSchema = z.object({
  ack: z.object({ success: z.boolean(), error_msg: z.string().nullish() }).nullish(),
})
