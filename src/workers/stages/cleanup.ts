import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { removeTree } from '../../base/files.js'
import type { Stage } from './stage.js'

/** What people look at after a training: its log, its order, its events, and the files that went to the Loop. */
const KEPT = /^(last_training\.log|training\.json|events.*\.jsonl|model)$/

/** Takes away what only the training needed; an aborted training leaves nothing. */
export const cleanup: Stage = async (context) => {
  const { paths, stopSwitch } = context.training
  if (stopSwitch.phase !== 'after') {
    await removeTree(paths.workspace)
    return { removed: 'all' }
  }
  const names = await readdir(paths.workspace).catch(() => []) // gone already: nothing to do
  const passing = names.filter((name) => !KEPT.test(name))
  for (const name of passing) await removeTree(join(paths.workspace, name))
  return { removed: passing.length }
}
