import { chmod, lstat, readdir, rmdir, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { hasCode, removeTree } from './files.js'

/** A file or folder that could not be removed, and the system's code for why. */
export type Remainder = { readonly path: string; readonly code: string }

/**
 * Removes all of a file or folder that can be removed and answers the rest, such as what root has made in a folder of
 * ours. Never throws; stops at an abort and answers what it has met so far.
 */
export async function removeWhatGoes(
  path: string,
  options: { readonly signal?: AbortSignal } = {},
): Promise<Remainder[]> {
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
    return inside // a folder is not worth a line beside what it still holds
  } catch (error) {
    return hasCode(error, 'ENOENT') ? [] : [{ path, code: codeOf(error) }]
  }
}

async function removeInside(folder: string, signal: AbortSignal | undefined): Promise<Remainder[]> {
  // A program may have taken away its own right to write there, as for a folder that is to be read only.
  await chmod(folder, 0o700).catch(() => undefined) // somebody else's folder: what does not go is answered
  const remainders: Remainder[] = []
  for (const name of await readdir(folder)) remainders.push(...(await removeEach(join(folder, name), signal)))
  return remainders
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
}
