import { InvalidInputError } from '../../base/errors.js'
import { type Converter, toConverter } from '../../executors/converter.js'
import { loadConverterDefinition } from '../../executors/converter-definition.js'
import type { ConverterProfile } from '../../nodes/converter/scan.js'

/** Reads converter files; throws LF_BAD_CONVERTER_FILE, or LF_INVALID_INPUT for two of one name. */
export async function loadConverters(files: readonly string[]): Promise<readonly Converter[]> {
  const seen = new Map<string, string>()
  const converters: Converter[] = []
  for (const file of files) {
    const converter = await loadConverter(file)
    const other = seen.get(converter.name)
    if (other !== undefined) {
      throw new InvalidInputError(
        `Two converters have the name "${converter.name}" (${other} and ${file}); rename one of them.`,
      )
    }
    seen.set(converter.name, file)
    converters.push(converter)
  }
  return converters
}

export async function loadConverter(file: string): Promise<Converter> {
  return toConverter(await loadConverterDefinition(file))
}

/** What the converter's node must know of it. */
export async function toConverterProfile(converter: Converter): Promise<ConverterProfile> {
  const targets = converter.targetFormats.map(async (format) => ({
    format,
    definition: await converter.fingerprint(format),
  }))
  return { name: converter.name, sourceFormat: converter.sourceFormat, targets: await Promise.all(targets) }
}
