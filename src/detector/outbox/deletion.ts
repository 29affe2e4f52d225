import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import { hasCode, messageOf, removeTree } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import type { Entry } from './entries.js'

/** Deletes entries. What cannot be deleted now is tried again with the next ones, and is not sent meanwhile. */
export function createDeletion(temporary: string, deps: { readonly log: Logger }) {
  const left = new Set<Entry>()

  async function deleteOne(entry: Entry): Promise<void> {
    try {
      await removeTree(await moveAway(entry))
      left.delete(entry)
    } catch (error) {
      if (!left.has(entry)) deps.log.error({ image: entry.name, reason: messageOf(error) }, 'image cannot be deleted')
      left.add(entry)
    }
  }

  /** By one rename, so that a kill leaves no half entry behind. */
  async function moveAway(entry: Entry): Promise<string> {
    const gone = join(temporary, `${entry.name}.done`)
    try {
      await rename(entry.folder, gone)
      return gone
    } catch (error) {
      if (hasCode(error, 'ENOENT', 'ENOTEMPTY', 'EEXIST')) return entry.folder
      throw error
    }
  }

  return async (entries: readonly Entry[]): Promise<void> => {
    await Promise.all([...left, ...entries].map(deleteOne))
  }
}
