import { type ProgramExit, type ProgramOptions, startProgram } from '../../process/index.js'
import { CommandFailedError, CommandTimedOutError } from '../contract/index.js'
import type { TrainerFile } from '../definition/index.js'
import { type OutputAudience, type OutputWatch, type OutputWatchDeps, openOutputWatch } from './output-watch.js'

export type RunToEndOptions = ProgramOptions & {
  /** The command as a text for errors. */
  readonly commandText: string
  /** Patterns of known error lines and their causes. */
  readonly errors: TrainerFile['errors']
  /** Longest time of the program; no limit without it. */
  readonly timeoutMs?: number
  readonly signal: AbortSignal
  /** Follows its output. */
  readonly audience?: OutputAudience
}

// The longest delay that setTimeout takes; beyond it the timer fires immediately.
const LONGEST_MS = 2 ** 31 - 1

/**
 * Runs a program until it and all its children have ended. Throws LF_COMMAND_FAILED for anything but code 0 and
 * LF_COMMAND_TIMED_OUT; an abort ends it with its children and throws the signal's reason.
 */
export async function runToEnd(options: RunToEndOptions, deps: OutputWatchDeps): Promise<ProgramExit> {
  options.signal.throwIfAborted()
  const { errors, audience } = options
  const watch = openOutputWatch({ definition: { errors }, audience }, deps)
  try {
    return await runWatched(options, watch, deps)
  } finally {
    await watch.close()
  }
}

async function runWatched(options: RunToEndOptions, watch: OutputWatch, deps: OutputWatchDeps): Promise<ProgramExit> {
  const { signal, commandText, timeoutMs = 0 } = options
  const program = await startProgram({ ...options, reader: watch.reader }, deps)
  const end = () => void program.end()
  signal.addEventListener('abort', end, { once: true })
  if (signal.aborted) end()
  const limit = timeoutMs > 0 ? setTimeout(end, Math.min(timeoutMs, LONGEST_MS)) : undefined
  const exit = await program.exited
  clearTimeout(limit)
  signal.removeEventListener('abort', end)
  await program.end() // its children, if it left some
  signal.throwIfAborted()
  const lastLogLines = program.lastLines()
  const { cause, isOutOfMemory: outOfMemory } = watch
  if (exit.endedByUs) throw new CommandTimedOutError({ ...exit, command: commandText, timeoutMs, lastLogLines })
  if (exit.exitCode === 0) return exit
  throw new CommandFailedError({ ...exit, command: commandText, cause, lastLogLines, outOfMemory })
}
