import { dirname } from 'node:path'
import { z } from 'zod'
import type { Logger } from '../../../base/logger/index.js'
import { checkConverterFile, converterDefinitionSchema } from '../../definition/index.js'
import { type Converter, createConverter } from '../../program/index.js'
import { describePlugin, type PluginSource } from '../describe-plugin.js'
import { hookSchema } from '../hook-schema.js'
import { pluginCommand } from '../plugin-command.js'
import { readConvertedList } from './converted-list.js'

const { name, source_format, timeout_seconds, gpus, env, errors } = converterDefinitionSchema.shape

/** What a converter plug-in exports, as data: the hooks of ConverterLogic are marks. */
const converterPluginSchema = z.strictObject({
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
type ConverterPlugin = z.output<typeof converterPluginSchema>

const HOOKS_PROGRAM = new URL('./hooks-main.js', import.meta.url)

/**
 * A plug-in becomes a converter like any other: its command starts a Node that runs the hooks. So all that holds for
 * programs (guard, log, time-out, lease) holds for it. Throws LF_BAD_PLUGIN.
 */
export async function loadConverterPlugin(source: PluginSource, deps: { readonly log: Logger }): Promise<Converter> {
  const { file } = source
  const plugin = await describePlugin({ ...source, name: 'converter', schema: converterPluginSchema }, deps)
  const definition = { ...checkConverterFile(toConverterFile(plugin, file), file), folder: dirname(file), file }
  return createConverter(definition, (task) => readConvertedList(task.workspace, task.outputFolder))
}

function toConverterFile(plugin: ConverterPlugin, file: string): Record<string, unknown> {
  const { name, sourceFormat, targetFormats, timeoutSeconds, gpus, env, errors } = plugin
  return {
    ...{ name, source_format: sourceFormat, timeout_seconds: timeoutSeconds, gpus, env, errors },
    convert: targetFormats.map((format) => ({
      format,
      command: pluginCommand(HOOKS_PROGRAM, file, '{model}', '{output}'),
    })),
    // Which files it makes, the plug-in says when it has made them.
    upload: Object.fromEntries(targetFormats.map((format) => [format, ['as-the-plug-in-says']])),
  }
}
