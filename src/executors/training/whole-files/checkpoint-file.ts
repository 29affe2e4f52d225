import { open, readFile, stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { parsePythonJson } from '../../contract/index.js'
import { deadLinkProblem } from './dead-link.js'
import { examineStructure } from './structure.js'

/** A file that a program wants to go on from, which nobody writes any more. */
export type CheckpointFile =
  | { readonly state: 'whole' | 'missing' }
  | { readonly state: 'torn'; readonly problem: string }

/** Files of these kinds are never meant to be empty; others may be mere signs, such as `resume.ok`. */
const NEVER_EMPTY = /\.(pt|pth|ckpt|npz|zip|keras|safetensors|onnx|h5|hdf5|pkl|pickle|json)$/i
const MAX_JSON_BYTES = 64 * 1024 * 1024

/**
 * Programs that are killed, or whose disk is full, leave half a checkpoint behind. What its own content does not tell
 * counts as whole. A file that cannot be read is missing.
 */
export async function examineCheckpoint(path: string): Promise<CheckpointFile> {
  try {
    const found = await stat(path)
    if (!found.isFile()) return { state: 'missing' }
    const problem = await problemOf(path, found.size)
    return problem === undefined ? { state: 'whole' } : { state: 'torn', problem }
  } catch {
    const problem = await deadLinkProblem(path).catch(() => undefined)
    return problem === undefined ? { state: 'missing' } : { state: 'torn', problem }
  }
}

/** Whether the content of a file shows that it is complete; for others only a time without changes does. */
export async function isWholeByContent(path: string): Promise<boolean> {
  const { size } = await stat(path)
  if (/\.json$/i.test(path)) return size <= MAX_JSON_BYTES && (await jsonProblem(path, size)) === undefined
  const handle = await open(path, 'r')
  try {
    return size > 0 && (await examineStructure(handle, { name: basename(path), size })).state === 'whole'
  } finally {
    await handle.close()
  }
}

async function problemOf(path: string, size: number): Promise<string | undefined> {
  if (size === 0) return NEVER_EMPTY.test(path) ? 'it is empty' : undefined
  if (/\.json$/i.test(path)) return await jsonProblem(path, size)
  const handle = await open(path, 'r')
  try {
    const structure = await examineStructure(handle, { name: basename(path), size })
    return structure.state === 'cut' ? structure.problem : undefined
  } finally {
    await handle.close()
  }
}

async function jsonProblem(path: string, size: number): Promise<string | undefined> {
  if (size > MAX_JSON_BYTES) return undefined
  return parsePythonJson(await readFile(path, 'utf8')) === undefined ? 'its JSON is cut off' : undefined
}
