import { createWriteStream } from 'node:fs'
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import pLimit from 'p-limit'
import { backOffMs, failureClassOf } from '../../../base/index.js'
import { paths } from '../../protocol/index.js'
import { sleepUnlessAborted } from '../session/abort-signals.js'
import { LoopRequestError } from '../session/errors.js'
import type { LoopSession } from '../session/session.js'
import type { RawResponse } from '../session/transport.js'
import type { AdaptiveLimit } from './adaptive-limit.js'
import type { Jpeginfo } from './jpeginfo.js'

/** What became of one image: on disk, twice no JPEG with all of its rows, or not given out by the Loop. */
export type ImageOutcome = 'available' | 'corrupt' | 'missing'

export type ImageDownload = {
  /** Fetches, checks and puts the image in its place. Throws when the Loop stays away or refuses for good. */
  fetch(imageId: string, target: string, signal: AbortSignal): Promise<ImageOutcome>
}

export type ImageDownloadOptions = {
  readonly organization: string
  readonly project: string
  /** Where unfinished files lie; on the same disk as the targets. */
  readonly temporary: string
  readonly attempts: number
  readonly maxImageBytes: number
  /** The first wait after a failure; grows from there. */
  readonly retryFirstMs: number
}

export type ImageDownloadDeps = {
  readonly session: LoopSession
  readonly limit: AdaptiveLimit
  readonly jpeginfo: Jpeginfo | undefined
  /** Receives the id of an image that decodes, but that `jpeginfo` does not call OK. */
  readonly onNotOk: (imageId: string) => void
}

// Up to this size an image is checked in memory; a larger one is streamed to disk first.
const IN_MEMORY_BYTES = 4 * 1024 * 1024
const MAX_REFUSALS = 40
// Pillow, which most trainers read images with, refuses more than this as a bomb.
const MAX_PIXELS = 178_956_970

/** The bytes of an image, unless only the disk has them. */
type Content = Buffer | 'on-disk' | 'too-large'

export function createImageDownload(options: ImageDownloadOptions, deps: ImageDownloadDeps): ImageDownload {
  const { organization, project, temporary, attempts, maxImageBytes, retryFirstMs } = options
  const { session, limit, jpeginfo, onNotOk } = deps
  let serial = 0
  let pausedUntil = 0
  // Large files are read one after the other, so that memory stays bounded by one of them.
  const largeFiles = pLimit(1)

  async function fetch(imageId: string, target: string, signal: AbortSignal): Promise<ImageOutcome> {
    let wasCorrupt = false
    let refusals = 0
    for (let attempt = 1; ; ) {
      try {
        const outcome = await fetchOnce(imageId, target, signal)
        if (outcome !== 'corrupt' || wasCorrupt) return outcome
        wasCorrupt = true // once may have been the transport's fault
      } catch (error) {
        signal.throwIfAborted()
        if (isGone(error)) return 'missing'
        if (failureClassOf(error) !== 'transient') throw error
        if (error instanceof LoopRequestError) limit.refused()
        const isRefusal = isTooMany(error)
        if (isRefusal ? ++refusals >= MAX_REFUSALS : attempt++ >= attempts) throw error
        const waitMs =
          askedWait(error) ?? backOffMs(isRefusal ? refusals : attempt, { firstMs: retryFirstMs, maxMs: 10_000 })
        if (isRefusal) pausedUntil = Math.max(pausedUntil, performance.now() + waitMs)
        else await sleepUnlessAborted(waitMs, [signal])
      }
    }
  }

  /** Waits until the pause of a 429 is over, which applies to all requests. */
  async function waitForPause(signal: AbortSignal): Promise<void> {
    for (;;) {
      const waitMs = pausedUntil - performance.now()
      if (waitMs <= 0) return
      await sleepUnlessAborted(waitMs * (1 + Math.random() * 0.2), [signal])
    }
  }

  async function fetchOnce(imageId: string, target: string, signal: AbortSignal): Promise<ImageOutcome> {
    serial += 1
    const name = `${serial}.jpg`
    const file = join(temporary, name)
    // Only the transfer takes a place; the check and the disk do not keep the connection from the next image.
    const content = await limit.run(() => transfer(imageId, file, signal))
    if (content === 'too-large' || !(await isWhole(content, file))) {
      await rm(file, { force: true })
      return 'corrupt'
    }
    if (content !== 'on-disk') await writeFile(file, content)
    if ((await jpeginfo?.check(name)) === false) onNotOk(imageId)
    signal.throwIfAborted()
    await rename(file, target)
    return 'available'
  }

  async function transfer(imageId: string, file: string, signal: AbortSignal): Promise<Content> {
    await waitForPause(signal)
    const startedAt = performance.now()
    const path = paths.imageMain(organization, project, imageId)
    const headers = { 'accept-encoding': 'identity' }
    const response = await session.open({ method: 'GET', path, headers, onTooMany: 'throw', signal })
    const content = await store(response, file)
    limit.succeeded(performance.now() - startedAt)
    return content
  }

  async function store(response: RawResponse, file: string): Promise<Content> {
    const head: Buffer[] = []
    let bytes = 0
    const chunks = response.body[Symbol.asyncIterator]()
    for (;;) {
      const next = await chunks.next()
      if (next.done === true) break
      head.push(next.value)
      bytes += next.value.length
      if (bytes > IN_MEMORY_BYTES) return storeLarge(chunks, head, file)
    }
    const content = head.length === 1 && head[0] !== undefined ? head[0] : Buffer.concat(head, bytes)
    return content
  }

  async function storeLarge(chunks: AsyncIterator<Buffer>, head: Buffer[], file: string): Promise<Content> {
    let bytes = 0
    let isTooLarge = false
    async function* limited() {
      yield* head.splice(0)
      for (;;) {
        const next = await chunks.next()
        if (next.done === true) return
        bytes += next.value.length
        if (bytes > maxImageBytes) {
          isTooLarge = true
          await chunks.return?.()
          return
        }
        yield next.value
      }
    }
    await pipeline(Readable.from(limited(), { objectMode: false }), createWriteStream(file))
    return isTooLarge ? 'too-large' : 'on-disk'
  }

  async function isWhole(content: Buffer | 'on-disk', file: string): Promise<boolean> {
    // Loaded with the first image: the library is large, and most processes with a client fetch none.
    const { isWholeJpeg } = await import('../../../images/pixels/index.js')
    const limits = { maxPixels: MAX_PIXELS }
    if (content !== 'on-disk') return await isWholeJpeg(content, limits)
    return await largeFiles(async () => await isWholeJpeg(await readFile(file), limits))
  }

  return { fetch }
}

function isGone(error: unknown): boolean {
  return error instanceof LoopRequestError && (error.details.status === 404 || error.details.status === 410)
}

function isTooMany(error: unknown): boolean {
  return error instanceof LoopRequestError && error.details.status === 429
}

function askedWait(error: unknown): number | undefined {
  return error instanceof LoopRequestError ? error.details.retryAfterMs : undefined
}
