import { createHash, randomUUID } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { create, extract, list, type ReadEntry } from 'tar'
import { ArchiveRefusedError, EntryNames } from '../archives/index.js'
import { LoopfleetError, messageOf, removeTree } from '../index.js'

export type UntarLimits = {
  readonly maxEntries?: number
  readonly maxTotalBytes?: number
}

const FILE_TYPES: ReadonlySet<string> = new Set(['File', 'OldFile', 'ContiguousFile'])
const FOLDER_TYPES: ReadonlySet<string> = new Set(['Directory', 'GNUDumpDir'])

/** What was written: its size, and its SHA-256 as it was taken while writing. */
export type PackedTar = { readonly sha256: string; readonly bytes: number }

/** Packs files and folders of `folder` into a tar, which appears under its name only when it is whole and on disk. */
export async function packTar(
  folder: string,
  names: readonly string[],
  targetFile: string,
  options: { readonly signal?: AbortSignal } = {},
): Promise<PackedTar> {
  await mkdir(dirname(targetFile), { recursive: true })
  const temporary = join(dirname(targetFile), `.${basename(targetFile).slice(0, 40)}.${randomUUID()}.tmp`)
  const hash = createHash('sha256')
  let bytes = 0
  async function* counted(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of chunks) {
      hash.update(chunk)
      bytes += chunk.length
      yield chunk
    }
  }
  try {
    // A name that begins with "@" would be read as an archive to take in.
    const safeNames = names.map((name) => (name.startsWith('@') ? `./${name}` : name))
    // Small pieces: each is hashed on the thread that everything else in this process waits for.
    const packed = create({ cwd: folder, portable: true, strict: true, maxReadSize: 512 * 1024 }, safeNames)
    await pipeline(packed, counted, createWriteStream(temporary, { flags: 'wx', flush: true }), options)
    await rename(temporary, targetFile)
    return { sha256: hash.digest('hex'), bytes }
  } finally {
    await rm(temporary, { force: true })
  }
}

/**
 * Unpacks a tar into a folder, replacing files of the same names, and returns the files' paths relative to it. All
 * names are checked before the first byte is written; throws LF_ARCHIVE_REFUSED for links, `..` and absolute paths.
 */
export async function unpackTar(file: string, folder: string, limits: UntarLimits = {}): Promise<string[]> {
  const files = await checkedFiles(file, limits)
  const target = resolve(folder)
  await mkdir(target, { recursive: true })
  const temporary = await mkdtemp(join(target, '.untar-'))
  try {
    await extract({ file, cwd: temporary, strict: true, preserveOwner: false }).catch(refuse(file))
    await moveInto(temporary, target)
    return files
  } finally {
    await removeTree(temporary)
  }
}

async function checkedFiles(file: string, limits: UntarLimits): Promise<string[]> {
  const { maxEntries = 100_000, maxTotalBytes = 64 * 1024 ** 3 } = limits
  const names = new EntryNames()
  const files: string[] = []
  let problem: { readonly problem: string; readonly entry: string } | undefined
  let entries = 0
  let totalBytes = 0
  const look = (entry: ReadEntry): void => {
    entries += 1
    totalBytes += entry.size
    const found = problemOf(entry)
    if (found !== undefined) problem ??= { problem: found, entry: entry.path }
  }
  const problemOf = (entry: ReadEntry): string | undefined => {
    const isFile = FILE_TYPES.has(entry.type)
    if (!isFile && !FOLDER_TYPES.has(entry.type)) return `it holds a ${entry.type}`
    if (entries > maxEntries) return `it has more than ${maxEntries} entries`
    if (totalBytes > maxTotalBytes) return `it unpacks to more than ${maxTotalBytes} bytes`
    const checked = names.add(entry.path, isFile ? 'file' : 'folder')
    if (!checked.ok) return checked.problem
    if (isFile) files.push(checked.name)
    return undefined
  }
  await list({ file, strict: true, onReadEntry: look }).catch(refuse(file))
  if (problem !== undefined) throw new ArchiveRefusedError({ archive: file, ...problem })
  return files
}

function refuse(file: string): (error: unknown) => never {
  return (error) => {
    const isOurs = error instanceof LoopfleetError || (error instanceof Error && 'syscall' in error)
    if (isOurs) throw error
    throw new ArchiveRefusedError({ archive: file, problem: messageOf(error) }, error)
  }
}

/** Entry by entry, since the folder may hold other things that stay. */
async function moveInto(from: string, to: string): Promise<void> {
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const source = join(from, entry.name)
    const target = join(to, entry.name)
    if (entry.isDirectory()) {
      await mkdir(target, { recursive: true })
      await moveInto(source, target)
    } else {
      await rename(source, target)
    }
  }
}
