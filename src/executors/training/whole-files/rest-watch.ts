import type { BigIntStats } from 'node:fs'
import { type FileHandle, stat } from 'node:fs/promises'
import { hasCode } from '../../../base/index.js'
import type { FileIdentity } from '../../../process/figures/index.js'

/** One look at a file. The mark changes when the file is written again or replaced. */
export type Look = FileIdentity & {
  readonly mark: string
  readonly size: number
  readonly mtimeMs: number
  /** When the file was made, however often it was written since; the time of its last change where the file system does not know it. */
  readonly bornMs: number
  readonly isFile: boolean
  /** When this mark was seen first (performance.now): the file's own times can be set, or come from another clock. */
  readonly since: number
}

/** Notices since when files have not changed, as far as somebody has looked. */
export type RestWatch = {
  /** Undefined when there is no such file; of an open one, what is open, whatever has its name by now. */
  look(path: string, handle?: FileHandle): Promise<Look | undefined>
  /** Whether it has not changed for so long, until now or until the program was over. */
  hasRested(look: Look, restMs: number): boolean
  /** From now on the program is ending or over: files that lie still then prove nothing. */
  freeze(): void
  readonly isFrozen: boolean
}

export function createRestWatch(): RestWatch {
  const seen = new Map<string, { readonly mark: string; readonly since: number }>()
  let frozenAt = Number.POSITIVE_INFINITY
  return {
    async look(path, handle) {
      const found = await (handle?.stat({ bigint: true }) ?? statOf(path))
      if (found === undefined) {
        seen.delete(path)
        return undefined
      }
      const { dev, ino, size, mtimeNs, birthtimeNs } = found
      const mark = markOf(found)
      const known = seen.get(path)
      const since = known?.mark === mark ? known.since : performance.now()
      seen.set(path, { mark, since })
      const mtimeMs = Number(mtimeNs) / 1e6
      const bornMs = birthtimeNs > 0n ? Math.min(Number(birthtimeNs) / 1e6, mtimeMs) : mtimeMs
      return { path, dev, ino, mark, size: Number(size), mtimeMs, bornMs, isFile: found.isFile(), since }
    },
    hasRested: ({ since }, restMs) => Math.min(frozenAt, performance.now()) - since >= restMs,
    freeze() {
      frozenAt = Math.min(frozenAt, performance.now())
    },
    get isFrozen() {
      return Number.isFinite(frozenAt)
    },
  }
}

async function statOf(path: string) {
  try {
    return await stat(path, { bigint: true })
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return undefined // deleted, or a link to nothing
    throw error
  }
}

/** Another one when the file was written or replaced. */
export function markOf({ ino, size, mtimeNs }: Pick<BigIntStats, 'ino' | 'size' | 'mtimeNs'>): string {
  return `${ino} ${size} ${mtimeNs}`
}
