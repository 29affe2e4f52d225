import type { Closers } from '../../base/index.js'
import { lockFolder } from '../../process/folder-lock/index.js'

/** Takes a folder for the node `<kind>` of that name; throws LF_FOLDER_LOCKED when such a node runs on it already. */
export async function takeNodeFolder(
  folder: string,
  { kind, name }: { readonly kind: string; readonly name: string },
  { closers }: { readonly closers: Closers },
): Promise<void> {
  const lock = await lockFolder(folder, `${kind}-${name.replaceAll(/[^A-Za-z0-9-]/g, '-')}`)
  closers.add('folder lock', () => lock.release())
}
