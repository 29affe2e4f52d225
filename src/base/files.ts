import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { copyFile, link, lstat, mkdir, open, readFile, realpath, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { z } from 'zod'
import { LoopfleetError, messageOf } from './errors.js'

/** A file of ours that does not hold what it must hold. */
class FileInvalidError extends LoopfleetError {
  static {
    this.prototype.name = 'FileInvalidError'
  }
  constructor(details: { readonly path: string; readonly problem: string }, cause?: unknown) {
    super('LF_FILE_INVALID', `The file ${details.path} is not valid: ${details.problem}. Repair it or delete it.`, {
      details,
      cause,
    })
  }
}

/** A name from outside that must not become part of a path. */
class UnsafeNameError extends LoopfleetError {
  static {
    this.prototype.name = 'UnsafeNameError'
  }
  constructor(details: { readonly name: string; readonly problem: string }) {
    super('LF_UNSAFE_NAME', `The name ${JSON.stringify(details.name)} ${details.problem}, so no file is named by it.`, {
      details,
    })
  }
}

const MAX_SEGMENT_BYTES = 200

/** Writes the whole file or leaves the old one; on disk when it resolves. Missing parent folders are made. */
export async function writeFileAtomic(path: string, data: string | Uint8Array): Promise<void> {
  const temporary = await temporarySibling(path)
  try {
    const file = await open(temporary, 'wx')
    try {
      await file.writeFile(data)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
  await syncFolder(dirname(path))
}

/** The checked content, or undefined when there is no such file. Throws LF_FILE_INVALID. */
export async function readJsonFile<Schema extends z.ZodType>(
  path: string,
  schema: Schema,
): Promise<z.output<Schema> | undefined> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
  const checked = schema.safeParse(parseJson(path, text))
  if (checked.success) return checked.data
  // Loaded when a file is invalid: threads and small programs write files too, and check none.
  const { prettifyError } = await import('zod')
  throw new FileInvalidError({ path, problem: prettifyError(checked.error).replaceAll('\n', ' ') }, checked.error)
}

/** As writeFileAtomic, for a value as indented JSON. */
export async function writeJsonFile(path: string, value: unknown): Promise<void> {
  await writeFileAtomic(path, `${JSON.stringify(value, null, 2)}\n`)
}

/** The same file under a second name (a copy where links are impossible); what was there is replaced in one step. */
export async function linkOrCopy(from: string, to: string): Promise<void> {
  const source = (await lstat(from)).isSymbolicLink() ? await realpath(from) : from
  try {
    await link(source, to)
    return
  } catch (error) {
    if (!hasCode(error, 'EEXIST', 'ENOENT', 'EXDEV', 'EPERM', 'EMLINK', 'ENOTSUP', 'ENOSYS')) throw error
  }
  const temporary = await temporarySibling(to)
  try {
    await link(source, temporary).catch((error: unknown) => {
      if (!hasCode(error, 'EXDEV', 'EPERM', 'EMLINK', 'ENOTSUP', 'ENOSYS')) throw error
      return copyFile(source, temporary, constants.COPYFILE_FICLONE)
    })
    await rename(temporary, to)
  } finally {
    await rm(temporary, { force: true }) // also after success: renaming onto another name of itself leaves both
  }
}

/** Removes a file or a folder with all it holds; nothing happens when it is not there. */
export async function removeTree(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 })
}

/** The name itself when it can be one segment of a path. Throws LF_UNSAFE_NAME. */
export function safePathSegment(name: string): string {
  if (name === '' || name === '.' || name === '..') throw new UnsafeNameError({ name, problem: 'means a folder' })
  if (/[/\\]/.test(name)) throw new UnsafeNameError({ name, problem: 'has a slash' })
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  if (/[\u0000-\u001f\u007f]/.test(name)) throw new UnsafeNameError({ name, problem: 'has a control character' })
  if (Buffer.byteLength(name) > MAX_SEGMENT_BYTES) {
    throw new UnsafeNameError({ name, problem: `is longer than ${MAX_SEGMENT_BYTES} bytes` })
  }
  return name
}

/** Whether anything thrown is a system error with one of these codes. */
export function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && codes.includes(error.code)
}

async function temporarySibling(path: string): Promise<string> {
  await mkdir(dirname(path), { recursive: true })
  // Cut, so that a long name with our ending is still a possible one.
  return join(dirname(path), `.${basename(path).slice(0, 40)}.${randomUUID()}.tmp`)
}

/** Brings a folder's own entries to the disk; a rename is only durable with its folder. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

function parseJson(path: string, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new FileInvalidError({ path, problem: messageOf(error) }, error)
  }
}
