import { join } from 'node:path'
import type { Logger } from '../base/logger.js'
import type { TrainingOrder } from '../loop/protocol/index.js'
import { type ProgramExit, startProgram } from '../process/program.js'
import { knownCause } from './adapters/log-watcher.js'
import { buildCommand } from './command.js'
import { commandText } from './command-schema.js'
import type { Command, CommandTemplate, TrainerDefinition } from './definition.js'
import { programEnvironment } from './environment.js'
import { CommandFailedError, CommandTimedOutError } from './errors.js'
import { commandValues } from './order-values.js'
import { DATASET_FOLDER } from './workspace.js'

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
  readonly gpus?: readonly number[]
  readonly owner: string
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly logFile: string
  readonly signal: AbortSignal
  readonly graceMs?: number
  /** A command that takes longer is ended; without it there is no limit. */
  readonly timeoutMs?: number
}

/**
 * Runs a command of a trainer file, other than its training, to its end. Throws LF_COMMAND_FAILED for anything but code
 * 0 and LF_COMMAND_TIMED_OUT; an abort ends the program with its children and throws the signal's reason.
 */
export async function runCommand(options: RunCommandOptions, deps: { readonly log: Logger }): Promise<ProgramExit> {
  const { definition, workspace, signal } = options
  signal.throwIfAborted()
  const program = await startProgram(
    {
      command: commandLine(options),
      cwd: workspace,
      env: programEnvironment(definition, { host: options.env ?? {}, workspace, gpus: options.gpus ?? [] }),
      logFile: options.logFile,
      owner: options.owner,
      graceMs: options.graceMs,
    },
    deps,
  )
  const end = () => void program.end()
  signal.addEventListener('abort', end, { once: true })
  if (signal.aborted) end()
  const { timeoutMs = 0 } = options
  const limit = timeoutMs > 0 ? setTimeout(end, timeoutMs) : undefined
  const exit = await program.exited
  clearTimeout(limit)
  signal.removeEventListener('abort', end)
  await program.end() // its children, if it left some
  signal.throwIfAborted()
  if (exit.endedByUs) throw new CommandTimedOutError({ command: commandText(options.command), timeoutMs })
  if (exit.exitCode === 0) return exit
  const lastLogLines = program.lastLines()
  const cause = knownCause(definition, lastLogLines)
  throw new CommandFailedError({ ...exit, command: commandText(options.command), cause, lastLogLines })
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
