import { createHash } from 'node:crypto'
import { lstat, readdir, stat } from 'node:fs/promises'
import { dirname, isAbsolute, join, normalize, relative } from 'node:path'
import { hasCode } from '../../base/index.js'
import type { TrainerDefinition } from '../../executors/definition/index.js'

/** What the trainer file says of checkpoints. */
export type CheckpointRules = Pick<TrainerDefinition, 'train'> & { readonly checkpoint?: readonly string[] | undefined }

/** Files and folders that a resumed program needs: `checkpoint`, or the folder (never the workspace) of `resume_when`. */
export function checkpointPaths({ checkpoint, train }: CheckpointRules): string[] {
  if (checkpoint !== undefined) return checkpoint.map((path) => normalize(path))
  if (train.resume_when === undefined) return []
  const file = normalize(train.resume_when)
  return [dirname(file) === '.' ? file : dirname(file)]
}

/** What changes with every new checkpoint. */
export function watchedPaths(rules: CheckpointRules): string[] {
  return rules.train.resume_when === undefined ? checkpointPaths(rules) : [normalize(rules.train.resume_when)]
}

/** All files at and below these paths, relative to `folder`; what is not there counts as nothing. */
export async function filesBelow(folder: string, paths: readonly string[]): Promise<string[]> {
  const found = await Promise.all([...new Set(paths)].map((path) => filesAt(folder, path)))
  return [...new Set(found.flat())].sort()
}

async function filesAt(folder: string, path: string): Promise<string[]> {
  if (isOutside(path)) return []
  const kind = await kindOf(join(folder, path))
  if (kind === 'file') return [path]
  if (kind !== 'folder') return []
  const names = await readdir(join(folder, path)).catch(nothingWhenGone)
  return (await Promise.all(names.map((name) => filesAt(folder, join(path, name))))).flat()
}

/** Tells apart two states of files: who has written one of them, in place or again, has changed it. */
export async function fingerprint(folder: string, files: readonly string[]): Promise<string> {
  const lines = files.map(async (file) => {
    const found = await stat(join(folder, file), { bigint: true }).catch(nothingWhenGone)
    return Array.isArray(found) ? `${file} -` : `${file} ${found.ino} ${found.size} ${found.mtimeNs}`
  })
  return (await Promise.all(lines)).join('\n')
}

/**
 * A name for the checkpoint that lies in this workspace now; it changes when one of its files is written, or with the last epoch where
 * the trainer file names no file.
 */
export async function markOf(workspace: string, rules: CheckpointRules, epoch: number | null): Promise<string> {
  if (watchedPaths(rules).length === 0) return `epoch ${epoch}`
  const files = await filesBelow(workspace, watchedPaths(rules))
  return createHash('sha256')
    .update(await fingerprint(workspace, files))
    .digest('hex')
    .slice(0, 16)
}

// A link to a file stands for its content; a link to a folder could lead round in a circle.
async function kindOf(path: string): Promise<'file' | 'folder' | undefined> {
  const found = await lstat(path).catch(nothingWhenGone)
  if (Array.isArray(found)) return undefined
  if (found.isDirectory()) return 'folder'
  if (found.isFile()) return 'file'
  const target = found.isSymbolicLink() ? await stat(path).catch(nothingWhenGone) : []
  return !Array.isArray(target) && target.isFile() ? 'file' : undefined
}

function isOutside(path: string): boolean {
  const way = relative('.', path)
  return way.startsWith('..') || isAbsolute(path)
}

function nothingWhenGone(error: unknown): never[] {
  if (hasCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return []
  throw error
}
