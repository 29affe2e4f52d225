import { InvalidInputError } from '../../base/index.js'
import { hostEnvironment } from '../../config/index.js'
import { loadConverter } from '../../executors/plugin/index.js'
import type { Converter } from '../../executors/program/index.js'
import type { ConverterProfile } from '../../nodes/converter/index.js'
import type { CliContext } from '../context.js'

/** Reads a converter file, YAML or plug-in. */
export function readConverter(file: string, { log }: Pick<CliContext, 'log'>): Promise<Converter> {
  return loadConverter(file, { env: hostEnvironment(), log })
}

/** Reads several; throws LF_INVALID_INPUT for two of one name. */
export async function readConverters(
  files: readonly string[],
  context: Pick<CliContext, 'log'>,
): Promise<readonly Converter[]> {
  const converters = await Promise.all(files.map((file) => readConverter(file, context)))
  const seen = new Map<string, string>()
  for (const [index, { name }] of converters.entries()) {
    const other = seen.get(name)
    const file = files[index] ?? ''
    if (other !== undefined) {
      throw new InvalidInputError(`Two converters have the name "${name}" (${other} and ${file}); rename one of them.`)
    }
    seen.set(name, file)
  }
  return converters
}

/** What the converter's node must know of it. */
export async function toConverterProfile(converter: Converter): Promise<ConverterProfile> {
  const targets = converter.targetFormats.map(async (format) => ({
    format,
    definition: await converter.fingerprint(format),
  }))
  return { name: converter.name, sourceFormat: converter.sourceFormat, targets: await Promise.all(targets) }
}
