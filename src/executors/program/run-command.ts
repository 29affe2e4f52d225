import { join } from 'node:path'
import type { TrainingOrder } from '../../loop/protocol/index.js'
import type { ProgramExit } from '../../process/index.js'
import { DATASET_FOLDER, programEnvironment, type VisibleGpu } from '../contract/index.js'
import { type Command, type CommandTemplate, commandText, type TrainerDefinition } from '../definition/index.js'
import { buildCommand } from './command.js'
import { commandValues } from './order-values.js'
import type { OutputAudience, OutputWatchDeps } from './output-watch.js'
import { runToEnd } from './run-to-end.js'

export type RunCommandOptions = {
  readonly definition: TrainerDefinition
  readonly command: CommandTemplate
  /** Absolute; the program's working directory. */
  readonly workspace: string
  readonly order: TrainingOrder
  /** `{model}`: the best model's files. */
  readonly modelFolder?: string
  /** `{images}`: the images to detect on. */
  readonly imagesFolder?: string
  /** `{output}`: where the result goes; the model folder unless said otherwise. */
  readonly outputFolder?: string
  readonly gpus?: readonly VisibleGpu[]
  readonly owner: string
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly logFile: string
  readonly signal: AbortSignal
  readonly graceMs?: number
  /** A command that takes longer is ended; without it there is no limit. */
  readonly timeoutMs?: number
  /** Who follows its output. */
  readonly audience?: OutputAudience
}

/**
 * Runs a command of a trainer file, other than its training, to its end. Throws LF_COMMAND_FAILED for anything but code
 * 0 and LF_COMMAND_TIMED_OUT; an abort ends the program with its children and throws the signal's reason.
 */
export async function runCommand(options: RunCommandOptions, deps: OutputWatchDeps): Promise<ProgramExit> {
  const { definition, workspace } = options
  options.signal.throwIfAborted()
  return await runToEnd(
    {
      ...options,
      command: commandLine(options),
      commandText: commandText(options.command),
      cwd: workspace,
      env: programEnvironment(definition, { host: options.env ?? {}, workspace, gpus: options.gpus ?? [] }),
      errors: definition.errors,
    },
    deps,
  )
}

function commandLine(options: RunCommandOptions): Command {
  const { definition, workspace, modelFolder } = options
  const { placeholders, given } = commandValues(definition, options.order, options.gpus ?? [])
  const values = {
    ...placeholders,
    workspace,
    dataset: join(workspace, DATASET_FOLDER),
    model: modelFolder,
    images: options.imagesFolder,
    output: options.outputFolder ?? modelFolder,
  }
  return buildCommand(definition, options.command, values, given)
}
