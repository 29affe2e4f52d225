import pLimit from 'p-limit'
import { retry } from '../../../base/index.js'
import type { Logger } from '../../../base/logger/index.js'
import { type ImageData, maxImagesPerRequest } from '../../protocol/index.js'
import { onAbort } from '../session/abort-signals.js'
import type { LoopRest } from '../session/rest.js'
import type { FetchOptions } from './image-fetch.js'

export type FetchImageDataOptions = FetchOptions & {
  /** Called with the ids that the Loop left out, or whose data are invalid. */
  readonly onMissing?: (ids: string[]) => void
}

const CHUNKS_AT_ONCE = 4
const ATTEMPTS = 3 // each of them is already three tries of the REST call

/** Image data of all ids in their order, in chunks; one chunk that cannot be had fails the whole. */
export async function fetchImageData(
  options: FetchImageDataOptions,
  deps: { readonly rest: LoopRest; readonly log: Logger; readonly retryFirstMs: number },
): Promise<ImageData[]> {
  const { organization, project, signal, onProgress, onMissing } = options
  const ids = [...new Set(options.ids)]
  const found = new Map<string, ImageData>()
  const failing = new AbortController()
  signal.throwIfAborted()
  const off = onAbort([signal], (reason) => failing.abort(reason))
  let done = 0
  onProgress?.(0, ids.length)

  async function fetchChunk(chunk: readonly string[]): Promise<void> {
    const asked = new Set(chunk)
    const { images, odd } = await retry(
      () => deps.rest.imageDataChunk(organization, project, chunk, { signal: failing.signal }),
      { signal: failing.signal, attempts: ATTEMPTS, backOff: { firstMs: deps.retryFirstMs, maxMs: 10_000 } },
    )
    for (const image of images) if (asked.has(image.id)) found.set(image.id, image)
    for (const { id, problem } of odd) deps.log.warn({ imageId: id, problem }, 'image data that cannot be used')
    done += chunk.length
    onProgress?.(done, ids.length)
  }

  try {
    const limit = pLimit(CHUNKS_AT_ONCE)
    const fetches = chunked(ids, maxImagesPerRequest).map((chunk) =>
      limit(() => fetchChunk(chunk)).catch((error: unknown) => {
        failing.abort(error)
        throw error
      }),
    )
    const outcomes = await Promise.allSettled(fetches) // nothing of it happens after we have returned
    const failed = outcomes.find((outcome) => outcome.status === 'rejected')
    signal.throwIfAborted()
    if (failed !== undefined) throw failing.signal.reason ?? failed.reason
  } finally {
    off()
  }

  const missing = ids.filter((id) => !found.has(id))
  if (missing.length > 0) {
    deps.log.warn({ organization, project, missing: missing.length }, 'images without image data')
    onMissing?.(missing)
  }
  return ids.flatMap((id) => found.get(id) ?? [])
}

function chunked<T>(items: readonly T[], size: number): T[][] {
  const chunks: T[][] = []
  for (let at = 0; at < items.length; at += size) chunks.push(items.slice(at, at + size))
  return chunks
}
