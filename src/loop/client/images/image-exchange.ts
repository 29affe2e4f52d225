import { mkdir, mkdtemp, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { removeTree, safePathSegment } from '../../../base/index.js'
import type { Logger } from '../../../base/logger/index.js'
import type { ImageData } from '../../protocol/index.js'
import { LoopRequestError } from '../session/errors.js'
import type { LoopRest } from '../session/rest.js'
import { runBounded } from '../session/run-bounded.js'
import type { LoopSession } from '../session/session.js'
import { createAdaptiveLimit } from './adaptive-limit.js'
import { type FetchImageDataOptions, fetchImageData } from './image-data.js'
import { createImageDownload, type ImageOutcome } from './image-download.js'
import type { FetchOptions, OfProject } from './image-fetch.js'
import { sortByPresence } from './images-on-disk.js'
import { createJpeginfoBatches, hasJpeginfo, hasStdbuf, type Jpeginfo } from './jpeginfo.js'
import { createJpeginfoStream } from './jpeginfo-stream.js'

export type ImageExchangeOptions = {
  /** The data folder; images lie in `<folder>/<organization>/<project>/images/<id>.jpg`. */
  readonly folder: string
  /** Parallel requests at the beginning. */
  readonly concurrency?: number
  readonly maxConcurrency?: number
  /** Attempts per image before its failure counts. */
  readonly attempts?: number
  readonly maxImageBytes?: number
  readonly retryFirstMs?: number
  /** Whether `jpeginfo` is used where it is installed. */
  readonly useJpeginfo?: boolean
}

export type ImageExchangeDeps = { readonly rest: LoopRest; readonly session: LoopSession; readonly log: Logger }

/** Every requested id is in exactly one of the three lists. */
type FetchedImages = {
  readonly available: string[]
  /** Twice no JPEG with all of its rows; not kept. */
  readonly corrupt: string[]
  /** The Loop has no such image, or its file cannot be read there. */
  readonly missing: string[]
}

/** Downloads the images of projects to the data folder, where they are kept. */
export type ImageExchange = {
  /** Downloads images that are not on disk. Throws if the Loop stays unreachable, so that a part is never taken for all images. */
  fetchImages(options: FetchOptions): Promise<FetchedImages>
  /** Reads the image data in chunks; throws if a chunk fails. `onMissing` is called with ids that the Loop left out. */
  fetchImageData(options: FetchImageDataOptions): Promise<ImageData[]>
  imagePath(organization: string, project: string, imageId: string): string
}

// More than the parallel requests, so that there are always several files for the check.
const MAX_ACTIVE = 96
const TEMPORARY = '.images-'
const MAX_NAMED = 20
const STALE_FOLDER_MS = 24 * 3600 * 1000

export function createImageExchange(options: ImageExchangeOptions, deps: ImageExchangeDeps): ImageExchange {
  const { concurrency = 16, maxConcurrency = 32, attempts = 5, maxImageBytes = 64 * 1024 * 1024 } = options
  const { retryFirstMs = 500, useJpeginfo = true } = options
  const log = deps.log.child({ component: 'image-exchange' })
  // One limit for all downloads, since they go to the same Loop.
  const limit = createAdaptiveLimit({ start: concurrency, max: Math.max(concurrency, maxConcurrency) })
  let opener: Promise<((folder: string) => Jpeginfo) | undefined> | undefined

  const projectFolder = ({ organization, project }: OfProject) =>
    join(options.folder, safePathSegment(organization), safePathSegment(project))
  const fileName = (imageId: string) => `${safePathSegment(imageId)}.jpg`

  async function fetchImages(what: FetchOptions): Promise<FetchedImages> {
    const { signal, onProgress } = what
    const parent = projectFolder(what)
    const folder = join(parent, 'images')
    await mkdir(folder, { recursive: true })
    const { available, absent } = await sortByPresence(folder, what.ids)
    const fetched: FetchedImages = { available, corrupt: [], missing: [] }
    absent.forEach(fileName) // a bad id is refused before anything is fetched
    let done = available.length
    const total = done + absent.length
    onProgress?.(done, total)
    if (absent.length === 0) return fetched

    await removeStale(parent)
    const temporary = await mkdtemp(join(parent, TEMPORARY))
    const { organization, project } = what
    let jpeginfo: Jpeginfo | undefined
    const notOk: string[] = []
    try {
      jpeginfo = await openJpeginfo(temporary)
      const download = createImageDownload(
        { organization, project, temporary, attempts, maxImageBytes, retryFirstMs },
        { session: deps.session, limit, jpeginfo, onNotOk: (id) => notOk.push(id) },
      )
      const failures = createImageFailures(absent.length)
      const fetchOne = async (id: string, fetchSignal: AbortSignal) => {
        const outcome = await download
          .fetch(id, join(folder, fileName(id)), fetchSignal)
          .catch((error: unknown): ImageOutcome => {
            failures.take(error)
            return 'missing'
          })
        fetched[outcome].push(id)
        done += 1
        onProgress?.(done, total)
      }
      await runBounded(absent, fetchOne, { atOnce: MAX_ACTIVE, signal })
      await failures.judge(() => isLoopWell(signal))
    } finally {
      await jpeginfo?.end()
      await removeTree(temporary)
    }
    const counts = { corrupt: fetched.corrupt.length, missing: fetched.missing.length }
    if (counts.corrupt + counts.missing > 0) log.warn({ organization, project, ...counts }, 'images left out')
    if (notOk.length > 0) {
      const facts = { organization, project, images: notOk.length, imageIds: notOk.slice(0, MAX_NAMED) }
      log.warn(facts, 'jpeginfo does not call these images OK; they decode and are used')
    }
    log.info({ organization, project, fetched: absent.length, limit: limit.limit }, 'images fetched')
    return fetched
  }

  async function openJpeginfo(temporary: string): Promise<Jpeginfo | undefined> {
    opener ??= useJpeginfo ? jpeginfoOpener() : Promise.resolve(undefined)
    return (await opener)?.(temporary)
  }

  async function isLoopWell(signal: AbortSignal): Promise<boolean> {
    try {
      await deps.rest.status({ signal })
      return true
    } catch {
      return false // the error of the first image is thrown instead
    }
  }

  return {
    fetchImages,
    fetchImageData: (what) => fetchImageData(what, { rest: deps.rest, log, retryFirstMs }),
    imagePath: (organization, project, imageId) =>
      join(projectFolder({ organization, project }), 'images', fileName(imageId)),
  }
}

async function jpeginfoOpener(): Promise<((folder: string) => Jpeginfo) | undefined> {
  const [isThere, canStream] = await Promise.all([hasJpeginfo(), hasStdbuf()])
  if (!isThere) return undefined
  return canStream ? createJpeginfoStream : createJpeginfoBatches
}

/** Removes unfinished files of killed processes; recent ones may belong to a running process. */
async function removeStale(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    if (!name.startsWith(TEMPORARY)) continue
    const path = join(parent, name)
    const info = await stat(path).catch(() => undefined) // removed meanwhile
    if (info !== undefined && Date.now() - info.mtimeMs > STALE_FOLDER_MS) await removeTree(path)
  }
}

/** The images for which the Loop has answered with a server error, until the end shows whether they or the Loop are the cause. */
type ImageFailures = {
  /** Counts the error of one image; throws it if the image cannot be its cause, or after too many. */
  take(error: unknown): void
  /** Throws the first error if the Loop does not answer now. */
  judge(isLoopWell: () => Promise<boolean>): Promise<void>
}

// A proxy answers with these when the Loop itself is unreachable.
const AWAY = new Set([429, 502, 503, 504])
const FEW = 0.01

/**
 * One image whose file is broken at the Loop must not keep a training from starting indefinitely, and a Loop that is down
 * must not make a training start without its images: up to one in a hundred may fail while the Loop is otherwise well.
 */
function createImageFailures(total: number): ImageFailures {
  const errors: LoopRequestError[] = []
  const allowed = Math.max(1, Math.floor(total * FEW))

  return {
    take(error) {
      const status = error instanceof LoopRequestError ? error.details.status : undefined
      if (!(error instanceof LoopRequestError) || status === undefined || status < 500 || AWAY.has(status)) throw error
      if (errors.length >= allowed) throw error
      errors.push(error)
    },
    async judge(isLoopWell) {
      const [first] = errors
      if (first !== undefined && !(await isLoopWell())) throw first
    },
  }
}
