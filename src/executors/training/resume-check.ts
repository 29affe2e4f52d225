import { messageOf } from '../../base/index.js'
import { CommandFailedError, CommandTimedOutError } from '../contract/index.js'
import { type OutputWatchDeps, type RunCommandOptions, runCommand } from '../program/index.js'
import { hasCheckpoint } from './start-choice.js'

export type ResumeCheckOptions = Omit<RunCommandOptions, 'command'>
type ResumeCheckDeps = OutputWatchDeps & {
  /** Writes a line for people into the training's log. */
  readonly say?: (line: string) => void
}

/** What the checkpoint in a workspace is good for. */
export type ResumeAnswer =
  /** There is none, or the trainer cannot resume. */
  | { readonly kind: 'none' }
  | { readonly kind: 'resume' }
  /** The training was done when it was saved: what is left to do is to use its models. */
  | { readonly kind: 'finished' }
  | { readonly kind: 'unusable'; readonly problem: string }

/** Exit codes of `train.resume_check`; 0 resumes, and so does any other one, with a warning. */
const FINISHED = 10
const UNUSABLE = 11
const TIMEOUT_MS = 120_000

/**
 * Examines the checkpoint in a workspace, then asks the trainer's own check. A check that itself fails proves nothing
 * about the checkpoint, so the training resumes. Throws what else hinders the check, and the reason of the signal.
 */
export async function askResume(options: ResumeCheckOptions, deps: ResumeCheckDeps): Promise<ResumeAnswer> {
  const { definition, workspace, signal } = options
  const torn: string[] = []
  if (!(await hasCheckpoint(definition, workspace, (problem) => torn.push(problem)))) {
    const [problem] = torn
    return problem === undefined ? { kind: 'none' } : { kind: 'unusable', problem }
  }
  const { resume_check: command } = definition.train
  if (command === undefined) return { kind: 'resume' }
  try {
    await runCommand({ timeoutMs: TIMEOUT_MS, ...options, command }, deps)
    return { kind: 'resume' }
  } catch (error) {
    signal.throwIfAborted()
    if (!(error instanceof CommandFailedError || error instanceof CommandTimedOutError)) throw error
    const code = error instanceof CommandFailedError ? error.details.exitCode : undefined
    if (code === FINISHED) return { kind: 'finished' }
    // Without `resume_when` nothing but the check says whether there is a checkpoint at all.
    if (code === UNUSABLE && definition.train.resume_when === undefined) return { kind: 'none' }
    if (code === UNUSABLE) return { kind: 'unusable', problem: 'train.resume_check says that it cannot be used' }
    const warning = `train.resume_check itself failed, so the training resumes: ${messageOf(error)}`
    deps.log.warn({ err: error }, warning)
    deps.say?.(`warning: ${warning}`)
    return { kind: 'resume' }
  }
}
