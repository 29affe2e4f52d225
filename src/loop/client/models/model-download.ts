import { mkdir, mkdtemp, open, rename } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { ArchiveRefusedError, unzipChecked } from '../../../base/archives/index.js'
import { hasCode, removeTree, retry } from '../../../base/index.js'
import { type ModelJson, paths } from '../../protocol/index.js'
import { LoopAnswerError } from '../session/errors.js'
import type { LoopSession } from '../session/session.js'
import { readModelJson } from './model-files.js'

export type ModelDownloadOptions = {
  readonly organization: string
  readonly project: string
  readonly modelId: string
  readonly format: string
  /** Folder for the model's files; if it exists, it is replaced as a whole. */
  readonly folder: string
  readonly signal: AbortSignal
  /** Received bytes, and the total if the Loop sends it. */
  readonly onProgress?: (bytes: number, totalBytes: number | undefined) => void
  readonly maxZipBytes?: number
}

export type DownloadedModel = {
  /** Undefined if the zip has no model.json. */
  readonly modelJson: ModelJson | undefined
  /** Paths below the folder. */
  readonly files: string[]
}

const ATTEMPTS = 4
/** Buffer for bytes that wait to be written while the next ones arrive. */
const AHEAD_BYTES = 4 * 1024 * 1024
/** Downloads of a zip that is refused each time, before the zip at the Loop counts as bad. */
const MAX_DOWNLOADS = 3

/** Streams the model's zip to disk, checks and unpacks it beside the target, and swaps it in when it is whole. */
export async function downloadModel(
  options: ModelDownloadOptions,
  deps: { readonly session: LoopSession; readonly retryFirstMs: number },
): Promise<DownloadedModel> {
  const target = resolve(options.folder)
  await mkdir(dirname(target), { recursive: true })
  // Beside the target, so that the swap is a rename. No name comes from the Loop.
  const temporary = await mkdtemp(join(dirname(target), `.${basename(target).slice(0, 40)}.model-`))
  try {
    const { signal } = options
    const backOff = { firstMs: deps.retryFirstMs, maxMs: 10_000 }
    const unpacked = join(temporary, 'unpacked')
    const fetchAndUnpack = async () => {
      const zip = join(temporary, 'model.zip')
      const part: PartOfZip = { bytes: 0, tag: undefined }
      await retry(() => fetchRest(zip, part, options, deps.session), { signal, attempts: ATTEMPTS, backOff })
      return await unzipChecked(zip, unpacked, { signal })
    }
    // A zip that a proxy has cut off, without an error, looks like one that is broken at the Loop.
    const shouldRetry = (error: unknown) => error instanceof ArchiveRefusedError
    const files = await retry(fetchAndUnpack, { signal, attempts: MAX_DOWNLOADS, shouldRetry, backOff })
    const modelJson = await readModelJson(unpacked)
    options.signal.throwIfAborted()
    await swap(unpacked, target, join(temporary, 'replaced'))
    return { modelJson, files }
  } finally {
    await removeTree(temporary)
  }
}

/** The part of the zip on disk, and the strong ETag with which the rest of the same file can be requested. */
type PartOfZip = { bytes: number; tag: string | undefined }

async function fetchRest(
  zip: string,
  part: PartOfZip,
  options: ModelDownloadOptions,
  session: LoopSession,
): Promise<void> {
  const { organization, project, modelId, format, signal, onProgress, maxZipBytes = 64 * 1024 ** 3 } = options
  const resume: Readonly<Record<string, string>> =
    part.bytes > 0 && part.tag !== undefined ? { range: `bytes=${part.bytes}-`, 'if-range': part.tag } : {}
  const path = paths.modelFile(organization, project, modelId, format)
  const response = await session.open({
    method: 'GET',
    path,
    login: false,
    headers: { 'accept-encoding': 'identity', ...resume },
    accept: (status) => status === 200 || (status === 206 && 'range' in resume),
    signal,
  })
  const isRest =
    response.status === 206 &&
    response.headers['content-range']?.toLowerCase().startsWith(`bytes ${part.bytes}-`) === true
  if (response.status === 206 && !isRest) {
    response.discard()
    part.tag = undefined
    throw new LoopAnswerError({ call: `GET ${path}`, problem: 'it is another range than asked for' })
  }
  if (!isRest) {
    part.bytes = 0
    part.tag = strongTag(response.headers.etag)
  }
  const length = Number(response.headers['content-length'] ?? Number.NaN)
  const total = Number.isFinite(length) ? part.bytes + length : undefined
  async function* counted() {
    let received = part.bytes
    for await (const chunk of response.body) {
      received += chunk.length
      if (received > maxZipBytes) throw new LoopAnswerError({ call: `GET ${path}`, problem: 'it is too big' })
      onProgress?.(received, total)
      yield chunk
    }
  }
  const file = await open(zip, isRest ? 'r+' : 'w')
  const start = part.bytes
  const output = file.createWriteStream({ start, highWaterMark: AHEAD_BYTES })
  try {
    await pipeline(counted, output)
  } finally {
    part.bytes = start + output.bytesWritten
    response.discard()
    await file.close()
  }
  if (total !== undefined && part.bytes !== total) {
    throw new LoopAnswerError({ call: `GET ${path}`, problem: `it ends after ${part.bytes} of ${total} bytes` })
  }
}

function strongTag(etag: string | undefined): string | undefined {
  return etag?.startsWith('"') === true ? etag : undefined
}

async function swap(from: string, target: string, aside: string): Promise<void> {
  await rename(target, aside).catch((error: unknown) => {
    if (!hasCode(error, 'ENOENT')) throw error
  })
  await rename(from, target)
}
