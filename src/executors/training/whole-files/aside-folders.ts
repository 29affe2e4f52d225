import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { hasCode, removeTree, tryToRemove } from '../../../base/index.js'

/** Where files that were set aside wait until the worker has made a set of them. */
export const ASIDE = '.set-aside'

/** Folders `.set-aside/000001` and on, one per model. */
export type AsideFolders = {
  /** For the next model, relative to the workspace; the same one until it is used. */
  next(): string
  use(folder: string): void
  /** The worker has its model: the one before it goes. */
  forget(folder: string): Promise<void>
  /** Nobody is to have its files any more; never fails. */
  drop(folder: string): void
}

/** What an earlier start has left there is removed: it looks at the program's own files again. */
export async function openAsideFolders(workspace: string): Promise<AsideFolders> {
  let last = 0
  let done: string | undefined
  for (const name of await namesIn(join(workspace, ASIDE))) {
    if (!/^\d{6}/.test(name)) continue
    last = Math.max(last, Number(name.slice(0, 6)))
    await removeTree(join(workspace, ASIDE, name))
  }
  return {
    next: () => join(ASIDE, toName(last + 1)),
    use(folder) {
      if (folder === join(ASIDE, toName(last + 1))) last += 1
    },
    async forget(folder) {
      const older = done
      done = folder
      if (older !== undefined && older !== folder) await removeTree(join(workspace, older))
    },
    drop: (folder) => void tryToRemove(join(workspace, folder)), // else with the workspace
  }
}

function toName(number: number): string {
  return String(number).padStart(6, '0')
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return []
    throw error
  }
}
