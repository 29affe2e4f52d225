import { chmod, lstat, readdir, rmdir, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { hasCode, removeTree } from './files.js'

/** A file or folder that could not be removed, and the system's code for why. */
export type Remainder = { readonly path: string; readonly code: string }

/**
 * Removes as much of a file or folder as possible and returns the rest, such as files that root has made in a folder of
 * ours. Never throws; stops at an abort and returns what it could not remove so far.
 */
export async function tryToRemove(path: string, options: { readonly signal?: AbortSignal } = {}): Promise<Remainder[]> {
  try {
    await removeTree(path)
    return []
  } catch {
    return await removeEach(path, options.signal)
  }
}

const MAX_NAME = 200

/** The paths in words, for a warning: the first few, and how many more there are. */
export function namedRemainders(remainders: readonly Remainder[], shown = 5): string {
  const names = remainders.slice(0, shown).map(({ path, code }) => `${path.slice(0, MAX_NAME)} (${code})`)
  const more = remainders.length - names.length
  return more > 0 ? `${names.join(', ')} and ${more} more` : names.join(', ')
}

async function removeEach(path: string, signal: AbortSignal | undefined): Promise<Remainder[]> {
  if (signal?.aborted) return []
  try {
    if (!(await lstat(path)).isDirectory()) {
      await unlink(path)
      return []
    }
    const inside = await removeInside(path, signal)
    if (inside.length === 0 && !signal?.aborted) await rmdir(path)
    return inside // without the folder itself
  } catch (error) {
    return hasCode(error, 'ENOENT') ? [] : [{ path, code: codeOf(error) }]
  }
}

async function removeInside(folder: string, signal: AbortSignal | undefined): Promise<Remainder[]> {
  // A program may have made the folder read-only.
  await chmod(folder, 0o700).catch(() => undefined) // the folder of another user: what stays is returned
  const remainders: Remainder[] = []
  for (const name of await readdir(folder)) remainders.push(...(await removeEach(join(folder, name), signal)))
  return remainders
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
}
