import { mkdir, open, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { hasCode, removeTree, syncFolder } from '../../base/index.js'
import type { Entry } from './entries.js'
import { makeFolders, type OutboxFolders } from './folders.js'

export type NewImage = {
  readonly name: string
  readonly metadata: string
  readonly image: Uint8Array
  readonly isPriority: boolean
}

/**
 * Writes an image into the outbox: completely or not at all, and durable when it resolves. Undefined if another image has
 * the name.
 */
export async function writeEntry(
  { name, metadata, image, isPriority }: NewImage,
  folders: OutboxFolders,
  syncParent: (folder: string) => Promise<void>,
): Promise<Entry | undefined> {
  const temporary = join(folders.temporary, name)
  const parent = isPriority ? folders.priority : folders.normal
  const folder = join(parent, name)
  if (!(await claimsName(() => makeFolder(temporary, folders)))) return undefined
  try {
    await Promise.all([
      writeDurably(join(temporary, `image_${name}.json`), metadata),
      writeDurably(join(temporary, `image_${name}.jpg`), image),
    ])
    if (!(await claimsName(() => rename(temporary, folder)))) {
      await removeTree(temporary)
      return undefined
    }
    // A power cut before the end of this may leave a folder without files, but then the client has no answer yet.
    await Promise.all([syncFolder(folder), syncParent(parent)])
  } catch (error) {
    await removeTree(temporary).catch(() => undefined) // the first error says more
    await removeTree(folder).catch(() => undefined)
    throw error
  }
  return { name, folder, isPriority, bytes: image.length + Buffer.byteLength(metadata) }
}

/** If the outbox folder was deleted while the detector runs, it is created again. */
async function makeFolder(path: string, folders: OutboxFolders): Promise<void> {
  try {
    await mkdir(path)
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error
    await makeFolders(folders)
    await mkdir(path)
  }
}

/** Returns whether the name was free. */
async function claimsName(work: () => Promise<unknown>): Promise<boolean> {
  try {
    await work()
    return true
  } catch (error) {
    if (hasCode(error, 'EEXIST', 'ENOTEMPTY')) return false
    throw error
  }
}

async function writeDurably(path: string, data: string | Uint8Array): Promise<void> {
  const file = await open(path, 'wx')
  try {
    await file.writeFile(data)
    await file.sync()
  } finally {
    await file.close()
  }
}
