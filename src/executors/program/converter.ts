import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { access, mkdir, stat } from 'node:fs/promises'
import { join, resolve, sep } from 'node:path'
import { pipeline } from 'node:stream/promises'
import {
  type ConversionFile,
  ModelNotConvertibleError,
  programEnvironment,
  type VisibleGpu,
} from '../contract/index.js'
import { type CommandTemplate, type ConverterDefinition, commandText } from '../definition/index.js'
import type { GpuCount } from '../gpu/index.js'
import { buildCommand } from './command.js'
import type { OutputAudience, OutputWatchDeps } from './output-watch.js'
import type { PreflightPlan } from './preflight/plan.js'
import { runToEnd } from './run-to-end.js'

/** One model that is to be converted to one format, in a workspace of its own. */
export type ConversionTask = {
  /** Absolute; the program's working directory. */
  readonly workspace: string
  /** Holds the files of the source model, as the Loop gave them. */
  readonly modelFolder: string
  readonly outputFolder: string
  /** The same as in `conversion.json`. */
  readonly file: ConversionFile
  readonly gpus: readonly VisibleGpu[]
  readonly owner: string
  /** The worker's environment; only allowed names are handed on. */
  readonly env: Readonly<Record<string, string | undefined>>
  readonly logFile: string
  readonly graceMs?: number
  /** Who follows the program's output. */
  readonly audience?: OutputAudience
  readonly signal: AbortSignal
}

/** How models get from one format to others: a YAML file with programs, or a plug-in. */
export type Converter = {
  readonly name: string
  readonly sourceFormat: string
  readonly targetFormats: readonly string[]
  /** Lent to each conversion. */
  readonly gpus: GpuCount
  /** What is asked of the host before it converts. */
  readonly preflight: PreflightPlan
  /** Another one when what is done for this format has changed, so that failed models are worth another try. */
  fingerprint(format: string): Promise<string>
  /** Returns the files to be uploaded; an abort ends everything it started and throws the signal's reason. */
  convert(task: ConversionTask, deps: OutputWatchDeps): Promise<readonly string[]>
  /** Lets go of what it keeps between conversions. */
  close?(): Promise<void>
}

/** The converter of a YAML file. */
export function toConverter(definition: ConverterDefinition): Converter {
  return createConverter(definition, ({ file, outputFolder }) =>
    (definition.upload[file.target_format] ?? []).map((name) => join(outputFolder, name)),
  )
}

/** A converter whose commands are programs; `filesOf` names the files that they made. */
export function createConverter(
  definition: ConverterDefinition,
  filesOf: (task: ConversionTask) => readonly string[] | Promise<readonly string[]>,
): Converter {
  const commandOf = (format: string): CommandTemplate => {
    const step = definition.convert.find((each) => each.format === format)
    if (step !== undefined) return step.command
    throw new ModelNotConvertibleError(`Converter "${definition.name}" makes no format "${format}".`, { format })
  }
  return {
    name: definition.name,
    sourceFormat: definition.source_format,
    targetFormats: definition.convert.map(({ format }) => format),
    gpus: definition.gpus,
    preflight: {
      ...{ kind: 'converter', name: definition.name, gpus: definition.gpus, definition, own: definition.preflight },
      commands: definition.convert.map(({ command }) => command),
    },
    fingerprint: (format) => fingerprintOf(definition, commandOf(format), format),
    async convert(task, deps) {
      await mkdir(task.outputFolder, { recursive: true })
      const command = commandOf(task.file.target_format)
      await runToEnd(
        {
          ...task,
          timeoutMs: definition.timeout_seconds * 1000,
          command: commandLine(definition, command, task),
          commandText: commandText(command),
          cwd: task.workspace,
          env: programEnvironment(definition, { host: task.env, workspace: task.workspace, gpus: task.gpus }),
          errors: definition.errors,
        },
        deps,
      )
      const files = await filesOf(task)
      await assertMade(files, task)
      return files
    },
  }
}

function commandLine(definition: ConverterDefinition, command: CommandTemplate, task: ConversionTask) {
  const { source_format, target_format, model } = task.file
  const values = {
    workspace: task.workspace,
    converter: definition.folder,
    model: task.modelFolder,
    output: task.outputFolder,
    source_format,
    target_format,
    ...(model.resolution !== null && { resolution: String(model.resolution) }),
  }
  const given = new Set([
    ...(task.gpus.length > 0 ? ['gpus'] : []),
    ...(model.resolution === null ? [] : ['resolution']),
  ])
  return buildCommand(definition, command, values, given, (name) => {
    throw new ModelNotConvertibleError(
      `Converter "${definition.name}" uses {${name}}, but the model.json of model ${model.version} has none.`,
      { converter: definition.name, placeholder: name },
    )
  })
}

async function assertMade(files: readonly string[], task: ConversionTask): Promise<void> {
  for (const file of files) {
    const isThere = await access(file).then(
      () => true,
      () => false,
    )
    if (isThere) continue
    const name = file.slice(task.outputFolder.length + 1)
    throw new ModelNotConvertibleError(
      `The conversion to "${task.file.target_format}" ended with code 0 but made no file "${name}" in its output folder.`,
      { format: task.file.target_format, file: name },
    )
  }
}

/** The definition and the files beside it that the command names: after a failure it is mostly the script that was changed. */
async function fingerprintOf(
  definition: ConverterDefinition,
  command: CommandTemplate,
  format: string,
): Promise<string> {
  const { source_format, upload, python, timeout_seconds, gpus, env, folder } = definition
  const hash = createHash('sha256')
  const facts = [source_format, format, command, upload[format], python, timeout_seconds, gpus, env]
  hash.update(JSON.stringify(facts))
  const words = command.flatMap((part) => (typeof part === 'string' ? [part] : [...part.then, ...part.else]))
  for (const word of words) {
    const path = resolve(folder, word.replaceAll('{converter}', folder))
    if (!path.startsWith(folder + sep)) continue
    const isFile = await stat(path).then(
      (facts) => facts.isFile(),
      () => false,
    )
    if (isFile) await pipeline(createReadStream(path), hash, { end: false })
  }
  return hash.digest('hex')
}
