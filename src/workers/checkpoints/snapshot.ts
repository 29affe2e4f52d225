import { constants } from 'node:fs'
import { copyFile, mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { hasCode, linkOrCopy, removeTree } from '../../base/index.js'
import { EVENTS_FILE } from '../../executors/contract/index.js'
import { eventFiles, isCut, isWholeByContent, unhandledModelFiles } from '../../executors/training/index.js'
import { type CheckpointRules, checkpointPaths, filesBelow, fingerprint, watchedPaths } from './contents.js'

const MODELS = 'models'

export type SnapshotOptions = {
  readonly workspace: string
  readonly rules: CheckpointRules
  /** Folder of the copies; it is emptied first. */
  readonly target: string
  /**
   * The program runs, so its checkpoint must have rested: it may write it in place, bit by bit. The first is for files whose
   * content says that they are whole, the second for all others. `over` aborts when the program has ended, after which
   * nothing is waited for; null when no program runs.
   */
  readonly rest: { readonly wholeMs: number; readonly otherMs: number; readonly over: AbortSignal } | null
  /** Time after which a program that writes all the time is skipped, until its next checkpoint. */
  readonly giveUpAfterMs: number
  /** Whether the program has ended: then a snapshot needs no checkpoint, only the models. */
  readonly isFinished: boolean
  readonly signal: AbortSignal
}

/**
 * Copies what a resume needs out of the workspace while the program goes on writing: the checkpoint, the set-aside
 * models, and the events with what was dealt with. Nothing of it has changed meanwhile, or it is copied again. Returns
 * the files, or undefined when there is no checkpoint or it never rested.
 */
export async function takeSnapshot(options: SnapshotOptions): Promise<string[] | undefined> {
  const { workspace, rules, rest, signal } = options
  const paths = checkpointPaths(rules)
  const givenUpAt = performance.now() + options.giveUpAfterMs
  do {
    signal.throwIfAborted()
    if (!options.isFinished && (await filesBelow(workspace, watchedPaths(rules))).length === 0) return undefined
    const checkpoint = await look(workspace, paths)
    if (rest !== null) {
      const doAllTell = await areWholeByContent(workspace, paths)
      const ms = doAllTell ? rest.wholeMs : rest.otherMs
      await sleep(ms, undefined, { signal: AbortSignal.any([signal, rest.over]) }).catch(() => signal.throwIfAborted())
    }
    // A program that renames new checkpoints into place every moment never rests, but its files are whole.
    const rests = (await look(workspace, paths)) === checkpoint || performance.now() > givenUpAt
    const files = rests ? await copyAll(workspace, paths, options.target) : undefined
    if (files !== undefined) return files
  } while (performance.now() < givenUpAt)
  return undefined
}

async function copyAll(workspace: string, paths: readonly string[], target: string): Promise<string[] | undefined> {
  const state = () => look(workspace, [...paths, MODELS, ...eventFiles.filter((file) => file !== EVENTS_FILE)])
  await removeTree(target)
  const before = await state()
  const files = await filesBelow(workspace, [
    ...paths,
    ...(await unhandledModelFiles(workspace)),
    MODELS,
    ...eventFiles,
  ])
  try {
    for (const file of files) await copyOne(workspace, target, file)
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined // an older model was just forgotten: look again
    throw error
  }
  if ((await state()) !== before) return undefined
  return (await areWhole(files.map((file) => join(target, file)))) ? files : undefined
}

// What an ONNX model refers to may lie elsewhere: only what is cut off by its own content is no checkpoint.
async function areWhole(copies: readonly string[]): Promise<boolean> {
  for (const copy of copies) if (await isCut(copy)) return false
  return true
}

async function areWholeByContent(workspace: string, paths: readonly string[]): Promise<boolean> {
  for (const file of await filesBelow(workspace, paths)) {
    // One that is renamed away this moment does not rest either.
    if (!(await isWholeByContent(join(workspace, file)).catch(() => false))) return false
  }
  return true
}

async function copyOne(workspace: string, target: string, file: string): Promise<void> {
  const [from, to] = [join(workspace, file), join(target, file)]
  await mkdir(dirname(to), { recursive: true })
  // Set-aside models are ours and never written again; all else belongs to the program.
  if (file.startsWith(`${MODELS}/`)) await linkOrCopy(from, to)
  else await copyFile(from, to, constants.COPYFILE_FICLONE)
}

async function look(workspace: string, paths: readonly string[]): Promise<string> {
  return fingerprint(workspace, await filesBelow(workspace, paths))
}
