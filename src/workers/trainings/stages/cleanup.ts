import { readdir } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf, namedRemainders, type Remainder, tryToRemove } from '../../../base/index.js'
import { runCommand } from '../../../executors/program/index.js'
import { ensureTrainingFile } from '../training-file.js'
import type { Stage, StageContext, StageDeps } from './stage.js'

/** Files that are kept for people: the log, the order, the events, and the files of the uploaded model. */
const KEPT = /^(last_training\.log|training\.json|events.*\.jsonl|model)$/

const OWN_CLEANUP_MS = 60_000
/** If the disk does not answer, the seat must still become free; the workspace keeper removes the rest. */
const REMOVAL_MS = 60_000

/**
 * Removes the files that only the training needed; of an aborted training all files. The model is at the Loop by now, so no
 * error here fails the training: files that cannot be removed are named in a warning and left to the workspace keeper.
 */
export const cleanup: Stage = {
  name: 'cleanup',
  kind: 'upload',
  loopStates: { during: 'ready_for_cleanup', after: null },
  reportsProgress: false,
  errorKey: 'cleanup',
  onStop: 'always',
  servesUpload: false,
  results: () => [],
  run,
}

async function run(context: StageContext, { outputThread }: StageDeps) {
  const { paths, stopSwitch } = context.training
  await runOwnCleanup(context, outputThread)
  if (stopSwitch.phase !== 'after') return { removed: 'all', left: await remove([paths.workspace], context) }
  const names = await readdir(paths.workspace).catch(() => []) // gone already: nothing to do
  const passing = names.filter((name) => !KEPT.test(name))
  const left = await remove(
    passing.map((name) => join(paths.workspace, name)),
    context,
  )
  return { removed: passing.length, left }
}

/** Returns the number of files and folders that are left. */
async function remove(paths: readonly string[], { training, log, say }: StageContext): Promise<number> {
  const giveUp = new AbortController()
  const remainders: Remainder[] = []
  const work = async () => {
    for (const path of paths) remainders.push(...(await tryToRemove(path, { signal: giveUp.signal })))
  }
  const isDone = await Promise.race([work().then(() => true), sleep(REMOVAL_MS, false, { ref: false })])
  giveUp.abort()
  const left = remainders.map(({ path, code }) => ({ path: relative(training.paths.workspace, path) || '.', code }))
  if (!isDone) {
    say(`cleaning up took more than ${REMOVAL_MS / 1000} s; the rest is left to the workspace keeper`)
    log.warn({ path: training.paths.workspace, afterMs: REMOVAL_MS }, 'cleaning up took too long')
  }
  if (left.length > 0) {
    say(`could not be deleted, left to the workspace keeper: ${namedRemainders(left)}`)
    log.warn({ path: training.paths.workspace, files: left.slice(0, 20), count: left.length }, 'files not deleted')
  }
  return left.length
}

/** Runs the `cleanup` command of the trainer; its failure is only a warning. */
async function runOwnCleanup(context: StageContext, outputThread: StageDeps['outputThread']): Promise<void> {
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
      audience: context.audience,
    }
    await runCommand(options, { log, outputThread })
  } catch (error) {
    context.say(`the trainer's cleanup failed: ${messageOf(error)}`)
    log.warn({ reason: messageOf(error) }, "the trainer's cleanup failed")
  }
}
