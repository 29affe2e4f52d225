import { createWriteStream } from 'node:fs'
import { mkdir, mkdtemp, readdir, rename } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { crc32 } from 'node:zlib'
import type { Entry, ZipFile } from 'yauzl'
import { hasCode, LoopfleetError, messageOf, removeTree } from '../index.js'
import { ArchiveRefusedError } from './archive-error.js'
import { EntryNames } from './entry-names.js'
import { openZip } from './file-reader.js'

export type UnzipLimits = {
  readonly maxEntries?: number
  /** Of all files together, unpacked. */
  readonly maxTotalBytes?: number
  /** Unpacked to packed size; only counts from 64 MiB on, since small files of zeros are no harm. */
  readonly maxRatio?: number
  readonly signal?: AbortSignal
}

const HARMLESS_BYTES = 64 * 1024 * 1024
/** What may wait to be written, so that reading goes on meanwhile. */
const AHEAD_BYTES = 4 * 1024 * 1024
const FILE_TYPE_BITS = 0o170000
const PLAIN_TYPES: ReadonlySet<number> = new Set([0, 0o100000, 0o040000])

/**
 * Unpacks a zip of unknown origin and returns the paths of its files, relative to the target folder, which must be
 * missing or empty. All or nothing: throws LF_ARCHIVE_REFUSED, and nothing outside the target was written.
 */
export async function unzipChecked(zipPath: string, targetFolder: string, limits: UnzipLimits = {}): Promise<string[]> {
  const target = resolve(targetFolder)
  await mkdir(dirname(target), { recursive: true })
  await assertFree(target, zipPath)
  const temporary = await mkdtemp(join(dirname(target), `.${basename(target).slice(0, 40)}.unzip-`))
  try {
    const files = await unpack(zipPath, temporary, limits)
    limits.signal?.throwIfAborted()
    await rename(temporary, target)
    return files
  } catch (error) {
    await removeTree(temporary)
    limits.signal?.throwIfAborted()
    if (error instanceof LoopfleetError || isOfThisMachine(error)) throw error
    throw new ArchiveRefusedError({ archive: zipPath, problem: messageOf(error) }, error)
  }
}

async function assertFree(target: string, zipPath: string): Promise<void> {
  const present = await readdir(target).catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return []
    throw error
  })
  if (present.length > 0) {
    throw new ArchiveRefusedError({ archive: zipPath, problem: `the target folder ${target} is not empty` })
  }
}

async function unpack(zipPath: string, folder: string, limits: UnzipLimits): Promise<string[]> {
  const zip = await openZip(zipPath, { lazyEntries: true, strictFileNames: true })
  try {
    const account = new Account(zipPath, zip, limits)
    const files: string[] = []
    for await (const entry of zip.eachEntry()) {
      limits.signal?.throwIfAborted()
      const { name, kind } = account.admit(entry)
      const path = join(folder, name)
      if (kind === 'folder') {
        await mkdir(path, { recursive: true })
        continue
      }
      await mkdir(dirname(path), { recursive: true })
      await writeEntry({ zip, entry, path, archive: zipPath, signal: limits.signal })
      files.push(name)
    }
    return files
  } finally {
    zip.close()
  }
}

/** What one archive may still unpack. */
class Account {
  readonly #archive: string
  readonly #packedBytes: number
  readonly #maxTotalBytes: number
  readonly #maxRatio: number
  readonly #names = new EntryNames()
  #totalBytes = 0

  constructor(archive: string, zip: ZipFile, limits: UnzipLimits) {
    const { maxEntries = 100_000, maxTotalBytes = 32 * 1024 ** 3, maxRatio = 200 } = limits
    this.#archive = archive
    this.#packedBytes = zip.fileSize
    this.#maxTotalBytes = maxTotalBytes
    this.#maxRatio = maxRatio
    if (zip.entryCount > maxEntries) this.#refuse(`it has ${zip.entryCount} entries, more than ${maxEntries}`)
  }

  admit(entry: Entry): { readonly name: string; readonly kind: 'file' | 'folder' } {
    const type = (entry.externalFileAttributes >>> 16) & FILE_TYPE_BITS
    const kind = entry.fileName.endsWith('/') ? 'folder' : 'file'
    if (!PLAIN_TYPES.has(type)) this.#refuse('it holds a link or a special file', entry)
    if (entry.isEncrypted()) this.#refuse('it is encrypted', entry)
    if (!entry.canDecodeFileData()) this.#refuse(`compression method ${entry.compressionMethod} is not known`, entry)
    const checked = this.#names.add(entry.fileName, kind)
    if (!checked.ok) return this.#refuse(checked.problem, entry)
    this.#spend(entry)
    return { name: checked.name, kind }
  }

  /** By declared sizes; yauzl ends an entry that is longer or shorter than declared. */
  #spend(entry: Entry): void {
    this.#totalBytes += entry.uncompressedSize
    if (this.#totalBytes > this.#maxTotalBytes) {
      this.#refuse(`it unpacks to more than ${this.#maxTotalBytes} bytes`, entry)
    }
    if (this.#totalBytes > HARMLESS_BYTES && this.#totalBytes > this.#packedBytes * this.#maxRatio) {
      this.#refuse(`it unpacks to more than ${this.#maxRatio} times its size`, entry)
    }
  }

  #refuse(problem: string, entry?: Entry): never {
    throw new ArchiveRefusedError({ archive: this.#archive, problem, entry: entry?.fileName })
  }
}

type EntryToWrite = {
  readonly zip: ZipFile
  readonly entry: Entry
  readonly path: string
  readonly archive: string
  readonly signal: AbortSignal | undefined
}

async function writeEntry({ zip, entry, path, archive, signal }: EntryToWrite): Promise<void> {
  const source = await zip.openReadStreamPromise(entry)
  let sum = 0
  const check = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      sum = crc32(chunk, sum)
      done(null, chunk)
    },
  })
  await pipeline(source, check, createWriteStream(path, { flags: 'wx', highWaterMark: AHEAD_BYTES }), { signal })
  if (sum !== entry.crc32) {
    throw new ArchiveRefusedError({ archive, problem: 'a checksum does not fit', entry: entry.fileName })
  }
}

/** Errors of the disk are not the archive's fault and may pass. */
function isOfThisMachine(error: unknown): boolean {
  return hasCode(
    error,
    'ENOSPC',
    'EDQUOT',
    'EIO',
    'EROFS',
    'EACCES',
    'EPERM',
    'EMFILE',
    'ENFILE',
    'ENOENT',
    'ENOTEMPTY',
  )
}
