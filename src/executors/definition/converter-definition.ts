import { basename, dirname, resolve } from 'node:path'
import { ConverterFileError } from '../contract/index.js'
import { type ConverterFile, converterDefinitionSchema } from './converter-schema.js'
import { misplacedScript } from './misplaced-script.js'
import { checkYamlValue, parseYaml, readYamlSource } from './yaml-file.js'

export type { ConverterFile } from './converter-schema.js'

/** A converter file with the absolute folder it lies in; scripts beside it are found there. */
export type ConverterDefinition = ConverterFile & { readonly folder: string; readonly file: string }

const KIND = {
  name: 'converter',
  schema: converterDefinitionSchema,
  fail: (...args: ConstructorParameters<typeof ConverterFileError>) => new ConverterFileError(...args),
} as const

/** Reads and checks a converter's YAML file; throws `LF_BAD_CONVERTER_FILE` with file, key, value and the way out. */
export async function loadConverterDefinition(path: string): Promise<ConverterDefinition> {
  const file = resolve(path)
  const source = await readYamlSource(file, KIND)
  const converter = parseConverterDefinition(source, file)
  const folder = dirname(file)
  const commands = converter.convert.map(({ command }, index) => ({ key: `convert[${index}].command`, command }))
  if (converter.preflight !== undefined) commands.push({ key: 'preflight', command: converter.preflight })
  for (const { key, command } of commands) {
    const problem = await misplacedScript(command, { folder, placeholder: 'converter' })
    if (problem !== undefined)
      throw new ConverterFileError(`${basename(file)}: "${key}" ${problem}. [${file}]`, { file, key })
  }
  return { ...converter, folder, file }
}

/**
 * Parses the text of a converter file; errors name `file`.
 * @internal since its test has a table of texts, without a file for each.
 */
export function parseConverterDefinition(source: string, file: string): ConverterFile {
  return checkConverterFile(parseYaml(source, file, KIND), file)
}

/** The content of a converter file; throws `LF_BAD_CONVERTER_FILE` for what does not fit, also across keys. */
export function checkConverterFile(value: unknown, file: string): ConverterFile {
  const converter = checkYamlValue(value, file, KIND)
  const { source_format: from, convert, upload } = converter
  const seen = new Set<string>()
  for (const [index, { format }] of convert.entries()) {
    const key = `convert[${index}].format`
    const fail = (problem: string) => {
      throw new ConverterFileError(`${basename(file)}: "${key}" is "${format}", ${problem} [${file}]`, { file, key })
    }
    if (format === from) fail('which is also "source_format"; a converter makes another format than it reads.')
    if (seen.has(format)) fail('which another entry makes already; name each format once.')
    seen.add(format)
    if (!Object.hasOwn(upload, format)) fail(`but "upload" does not list it; add the files of "${format}" there.`)
    assertNamesDiffer(format, upload[format] ?? [], file)
  }
  return converter
}

/** The Loop keeps a model's files in one flat folder. */
function assertNamesDiffer(format: string, paths: readonly string[], file: string): void {
  const names = paths.map((path) => basename(path))
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice === undefined) return
  const key = `upload.${format}`
  const sentence = `${basename(file)}: "${key}" lists two files named "${twice}", but the Loop keeps one; rename it. [${file}]`
  throw new ConverterFileError(sentence, { file, key })
}
