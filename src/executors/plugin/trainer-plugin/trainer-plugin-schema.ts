import { z } from 'zod'
import { trainerDefinitionSchema } from '../../definition/index.js'
import { hookSchema } from '../hook-schema.js'

const { name, format, architecture, models, dataset, upload, gpus, resolution, env, errors, checkpoint, train } =
  trainerDefinitionSchema.shape
const onnxSchema = z.strictObject({
  backend: z.literal('onnx', { error: 'must be onnx' }),
  format: name.optional(),
  confidence: z.enum(['unit', 'percent'], { error: 'must be unit (0 to 1) or percent (0 to 100)' }).optional(),
})
const milliseconds = z.int({ error: 'must be a number of milliseconds' }).min(1, { error: 'must be at least 1' })

/** What a trainer plug-in exports, as data: the hooks of TrainerLogic are marks. */
export const trainerPluginSchema = z
  .strictObject({
    name,
    format,
    architecture,
    models,
    dataset,
    upload,
    gpus,
    resolution,
    env,
    errors,
    checkpoint,
    resumeWhen: train.shape.resume_when,
    lookEveryMs: milliseconds.optional(),
    hookTimeoutMs: milliseconds.optional(),
    startFromScratch: hookSchema,
    startFromBaseModel: hookSchema.optional(),
    canResume: hookSchema.optional(),
    resume: hookSchema.optional(),
    progress: hookSchema.optional(),
    errorInLog: hookSchema.optional(),
    newBest: hookSchema.optional(),
    modelFiles: hookSchema.optional(),
    published: hookSchema.optional(),
    convert: z.array(z.strictObject({ format: name, convert: hookSchema })).default([]),
    detect: z
      .union([hookSchema, onnxSchema], { error: 'must be a function or {backend: onnx, format: FORMAT}' })
      .optional(),
    cleanUp: hookSchema.optional(),
  })
  .refine(({ resume, canResume, resumeWhen }) => resume === undefined || (canResume ?? resumeWhen) !== undefined, {
    path: ['canResume'],
    error: 'must be a function, or "resumeWhen" a file, since there is a hook "resume"',
  })
export type TrainerPlugin = z.output<typeof trainerPluginSchema>
