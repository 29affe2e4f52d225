import { z } from 'zod'
import { converterDefinitionSchema } from '../../definition/index.js'
import { hookSchema } from '../hook-schema.js'

const { name, source_format, timeout_seconds, gpus, env, errors } = converterDefinitionSchema.shape

/** What a converter plug-in exports, as data: the hooks of ConverterLogic are marks. */
export const converterPluginSchema = z.strictObject({
  name,
  sourceFormat: source_format,
  targetFormats: z.array(name).min(1, { error: 'must list the formats it makes' }),
  timeoutSeconds: timeout_seconds,
  gpus,
  env,
  errors,
  convert: hookSchema,
  convertedFiles: hookSchema.optional(),
})
export type ConverterPlugin = z.output<typeof converterPluginSchema>
