import { readdir, readFile, stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { hasCode } from '../../base/index.js'
import { findOwned } from '../index.js'
import { processTree } from './figures.js'

/** One file, whatever its names are. */
export type FileIdentity = { readonly dev: bigint; readonly ino: bigint; readonly path: string }

const ACCESS_MODE = 0o3

export type WriterWatch = (files: readonly FileIdentity[]) => Promise<boolean>

/** For what has left its program's tree every process has to be read, so not at every question. */
const OWNED_FOR_MS = 2000

/**
 * Returns whether a program has one of these files open for writing, or mapped so that it can write to it: the process,
 * all it has started, and whatever carries its owner. Of processes that may not be looked into nothing is known; they
 * do not count.
 */
export function watchWriters(program: { readonly pid: number; readonly owner: string }): WriterWatch {
  let owned: readonly number[] = []
  let readAt = Number.NEGATIVE_INFINITY

  async function members(): Promise<Set<number>> {
    if (performance.now() - readAt > OWNED_FOR_MS) {
      owned = await findOwned(program.owner)
      readAt = performance.now()
    }
    return new Set([...(await processTree(program.pid)), ...owned])
  }

  return async (files) => {
    if (files.length === 0) return false
    for (const member of await members()) {
      if ((await hasOpen(member, files)) || (await hasMapped(member, files))) return true
    }
    return false
  }
}

async function hasOpen(pid: number, files: readonly FileIdentity[]): Promise<boolean> {
  for (const descriptor of await readdir(`/proc/${pid}/fd`).catch(nothingWhenHidden)) {
    const found = await stat(`/proc/${pid}/fd/${descriptor}`, { bigint: true }).catch(nothingWhenHidden)
    if (Array.isArray(found) || !files.some(({ dev, ino }) => dev === found.dev && ino === found.ino)) continue
    const info = await readFile(`/proc/${pid}/fdinfo/${descriptor}`, 'latin1').catch(nothingWhenHidden)
    if (typeof info !== 'string') continue
    const flags = Number.parseInt(/^flags:\s*([0-7]+)/m.exec(info)?.[1] ?? '0', 8)
    if ((flags & ACCESS_MODE) !== 0) return true
  }
  return false
}

// The device of a mapping is that of the layer below on some file systems, so inode and name are compared.
async function hasMapped(pid: number, files: readonly FileIdentity[]): Promise<boolean> {
  const maps = await readFile(`/proc/${pid}/maps`, 'latin1').catch(nothingWhenHidden)
  if (typeof maps !== 'string') return false
  const shared = maps.split('\n').filter((line) => /^\S+ .w.s /.test(line))
  return shared.some((line) => {
    const [, inode, path] = /^\S+ \S+ \S+ \S+ (\d+)\s+(.*)$/.exec(line) ?? []
    return files.some((file) => inode === String(file.ino) && path?.includes(basename(file.path)) === true)
  })
}

function nothingWhenHidden(error: unknown): never[] {
  if (hasCode(error, 'ENOENT', 'ESRCH', 'EACCES', 'EPERM', 'ENOTDIR', 'ELOOP')) return []
  throw error
}
