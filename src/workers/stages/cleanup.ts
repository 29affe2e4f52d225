import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf } from '../../base/errors.js'
import { removeTree } from '../../base/files.js'
import { runCommand } from '../../executors/run-command.js'
import { ensureTrainingFile } from '../training-file.js'
import type { Stage, StageContext } from './stage.js'

/** What people look at after a training: its log, its order, its events, and the files that went to the Loop. */
const KEPT = /^(last_training\.log|training\.json|events.*\.jsonl|model)$/

const OWN_CLEANUP_MS = 60_000

/** Takes away what only the training needed; an aborted training leaves nothing. */
export const cleanup: Stage = async (context) => {
  const { paths, stopSwitch } = context.training
  await runOwnCleanup(context)
  if (stopSwitch.phase !== 'after') {
    await removeTree(paths.workspace)
    return { removed: 'all' }
  }
  const names = await readdir(paths.workspace).catch(() => []) // gone already: nothing to do
  const passing = names.filter((name) => !KEPT.test(name))
  for (const name of passing) await removeTree(join(paths.workspace, name))
  return { removed: passing.length }
}

/** The trainer's `cleanup` command; a training that is over does not fail by it. */
async function runOwnCleanup(context: StageContext): Promise<void> {
  const { training, signal, log } = context
  const { definition, paths, order, owner, programEnv: env } = training
  if (definition.cleanup === undefined) return
  try {
    await ensureTrainingFile(training)
    const { workspace, log: logFile } = paths
    const timeoutMs = OWN_CLEANUP_MS
    const options = {
      definition,
      command: definition.cleanup,
      workspace,
      order,
      owner,
      env,
      logFile,
      signal,
      timeoutMs,
    }
    await runCommand(options, { log })
  } catch (error) {
    context.say(`the trainer's cleanup failed: ${messageOf(error)}`)
    log.warn({ reason: messageOf(error) }, "the trainer's cleanup failed")
  }
}
