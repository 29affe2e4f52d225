import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { removeTree } from '../../base/index.js'
import { bytesOf, type Entry, subfolders } from './entries.js'

/** Images that cannot be sent, kept to be looked at, with the reason beside them; the oldest go first. */
export type SetAside = {
  put(entry: Entry, reason: string): Promise<void>
  count(): number
}

export type SetAsideOptions = { readonly folder: string; readonly maxImages: number; readonly maxBytes: number }

export async function openSetAside({ folder, maxImages, maxBytes }: SetAsideOptions): Promise<SetAside> {
  let kept: { readonly path: string; readonly bytes: number }[] = []
  for (const name of (await subfolders(folder)).sort()) {
    kept.push({ path: join(folder, name), bytes: await bytesOf(join(folder, name)) })
  }
  let bytes = kept.reduce((sum, each) => sum + each.bytes, 0)

  async function trim(): Promise<void> {
    while (kept.length > maxImages || bytes > maxBytes) {
      const oldest = kept.shift()
      if (oldest === undefined) return
      bytes -= oldest.bytes
      await removeTree(oldest.path)
    }
  }

  return {
    async put(entry, reason) {
      const path = join(folder, entry.name)
      await removeTree(path) // an older release may have used the same name
      await rename(entry.folder, path)
      bytes -= kept.find((each) => each.path === path)?.bytes ?? 0
      kept = kept.filter((each) => each.path !== path)
      kept.push({ path, bytes: entry.bytes })
      bytes += entry.bytes
      await trim()
      // Without room for the reason the image still has its place.
      await writeFile(join(path, 'reason.txt'), `${reason}\n`).catch(() => undefined)
    },
    count: () => kept.length,
  }
}
