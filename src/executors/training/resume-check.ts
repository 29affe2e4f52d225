import { CommandFailedError } from '../contract/index.js'
import { type OutputWatchDeps, type RunCommandOptions, runCommand } from '../program/index.js'
import { hasCheckpoint } from './start-choice.js'

export type ResumeCheckOptions = Omit<RunCommandOptions, 'command'>
type ResumeCheckDeps = OutputWatchDeps & {
  /** Tells the training's log why its checkpoint is not used. */
  readonly say?: (line: string) => void
}

/** Exit code of `train.resume_check` for no. */
const NO = 1
const TIMEOUT_MS = 120_000

/**
 * Whether a training in this workspace can go on from where it was: its checkpoint is there, and the trainer's own check
 * agrees. Throws LF_COMMAND_FAILED or LF_COMMAND_TIMED_OUT when the check itself fails, so that no work is lost by it.
 */
export async function canResume(options: ResumeCheckOptions, deps: ResumeCheckDeps): Promise<boolean> {
  const { definition, workspace } = options
  const onTorn = (problem: string): void => {
    deps.log.warn({ problem }, 'checkpoint not used')
    deps.say?.(`${problem}; the training begins anew`)
  }
  if (!(await hasCheckpoint(definition, workspace, onTorn))) return false
  const { resume_check: command } = definition.train
  if (command === undefined) return true
  try {
    await runCommand({ timeoutMs: TIMEOUT_MS, ...options, command }, deps)
    return true
  } catch (error) {
    if (error instanceof CommandFailedError && error.details.exitCode === NO) return false
    throw error
  }
}
