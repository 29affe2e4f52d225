import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { removeTree } from '../../base/index.js'

/** The folders of an outbox. All are in one folder, so that an image moves between them by a single rename. */
export type OutboxFolders = {
  readonly root: string
  readonly normal: string
  readonly priority: string
  readonly setAside: string
  /** Images that are being written or deleted; emptied at every start. */
  readonly temporary: string
  readonly nextNameFile: string
}

/** Creates missing folders, and deletes unfinished files of a killed process. */
export async function openFolders(root: string): Promise<OutboxFolders> {
  const folders = {
    root,
    normal: join(root, 'normal'),
    priority: join(root, 'priority'),
    setAside: join(root, 'set_aside'),
    temporary: join(root, 'tmp'),
    nextNameFile: join(root, 'next_ident'),
  }
  await removeTree(folders.temporary)
  await makeFolders(folders)
  const halves = (await readdir(root)).filter((name) => name.startsWith('.next_ident.') && name.endsWith('.tmp'))
  for (const half of halves) await removeTree(join(root, half))
  return folders
}

/** Creates missing folders. */
export async function makeFolders(folders: OutboxFolders): Promise<void> {
  for (const folder of [folders.normal, folders.priority, folders.setAside, folders.temporary]) {
    await mkdir(folder, { recursive: true })
  }
}
