import { z } from 'zod'
import { commandSchema } from './command-schema.js'
import {
  envSchema,
  gpusSchema,
  innerPathSchema,
  knownErrorsSchema,
  nameSchema,
  preflightSchema,
  pythonSchema,
} from './definition-schema.js'
import type { Placeholder } from './placeholders.js'

const CONVERTING: readonly Placeholder[] = [
  'workspace',
  'converter',
  'model',
  'output',
  'source_format',
  'target_format',
  'resolution',
]
/** What `if` may name in a converter's command. */
const converterConditions = ['gpus', 'resolution'] as const

const convertedFileSchema = innerPathSchema.refine((path) => path.split('/').at(-1) !== 'model.json', {
  error: 'must not be a model.json, which is made by loopfleet',
})

/** A converter's YAML file as docs/guides/converter.md describes it; unknown keys are refused. */
export const converterDefinitionSchema = z.strictObject({
  name: nameSchema.describe('Name of the converter; its queue is called conversions.<name>.'),
  source_format: nameSchema.describe('Models that have this format are converted.'),
  convert: z
    .array(
      z.strictObject({
        format: nameSchema,
        command: commandSchema(CONVERTING, { conditions: converterConditions, hasHyperparameters: false }),
      }),
    )
    .min(1, { error: 'must list a format and its command' })
    .describe('The formats it makes, each by a command of its own.'),
  upload: z
    .record(nameSchema, z.array(convertedFileSchema).min(1))
    .describe('The files of every format that go to the Loop, as paths below the output folder.'),
  python: pythonSchema(),
  preflight: preflightSchema('converter'),
  timeout_seconds: z
    .number()
    .min(1)
    .max(30 * 86_400)
    .default(3600)
    .describe('A conversion that takes longer is ended and counts as failed.'),
  gpus: gpusSchema.default(0).describe('GPUs that are lent to each conversion.'),
  env: envSchema(),
  errors: knownErrorsSchema().describe('Log lines that say why a conversion failed.'),
})
export type ConverterFile = z.output<typeof converterDefinitionSchema>
