import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { messageOf } from '../../base/index.js'
import type { ImageSize, ImageSource, OwnedImage, RawPixels } from '../../images/index.js'
import { bytesOf, decodePixels } from '../../images/pixels/index.js'
import { InferenceError, type InsideNative } from '../basics/index.js'
import type { Findings, InferenceCategory } from '../findings/findings.js'
import { parseGiven } from '../findings/given-findings.js'
import type { ImageAnswer } from './runner.js'
import { toThreadError } from './thread-error.js'
import type { ModuleSettings, ThreadBackend } from './thread-messages.js'

/** What `createBackend` of a module gets. */
type ModuleModel = {
  /** The unpacked model with its model.json. */
  readonly folder: string
  readonly categories: readonly InferenceCategory[]
  readonly resolution: number | undefined
  /** Around calls into a native addon that must not be cut off: a thread is never ended within. */
  readonly insideNative: InsideNative
}

/** What `createBackend` answers; findings in the Loop's spelling, categories by id or name, confidences 0…1. */
type ModuleDetector = {
  detect(image: ModuleImage): unknown
  /** One entry per image, in order. */
  detectBatch?(images: readonly ModuleImage[]): unknown
  /** Most images of one `detectBatch`; 8 by default. */
  readonly maxImages?: number
  close?(): unknown
}

const DEFAULT_IMAGES = 8

/** Loads the module and lets it load its model; throws LF_BACKEND_UNUSABLE if it has no `createBackend`. */
export async function openModuleBackend(settings: ModuleSettings, native: InsideNative): Promise<ThreadBackend> {
  const detector = await createDetector(settings, native)
  const { detectBatch, maxImages = DEFAULT_IMAGES } = detector
  const work = new ModuleWork(detector, settings)
  return {
    maxImages: detectBatch === undefined ? 1 : maxImages,
    wantsBatches: true,
    detect: (images) => work.detect(images),
    close: async () => {
      await detector.close?.()
    },
  }
}

async function createDetector(settings: ModuleSettings, insideNative: InsideNative): Promise<ModuleDetector> {
  const { file, modelFolder, categories, resolution } = settings
  const loaded: { readonly createBackend?: unknown } = await import(pathToFileURL(resolve(file)).href).catch(
    (cause: unknown) => {
      throw unusable(file, `cannot be loaded: ${messageOf(cause)}`, cause)
    },
  )
  if (typeof loaded.createBackend !== 'function') throw unusable(file, 'exports no function "createBackend"')
  const model: ModuleModel = { folder: modelFolder, categories, resolution, insideNative }
  const detector: unknown = await loaded.createBackend(model)
  if (isDetector(detector)) return detector
  throw unusable(file, 'has a createBackend that answers no object with a function "detect"')
}

class ModuleWork {
  readonly #detector: ModuleDetector
  readonly #settings: ModuleSettings

  constructor(detector: ModuleDetector, settings: ModuleSettings) {
    this.#detector = detector
    this.#settings = settings
  }

  async detect(images: readonly OwnedImage[]): Promise<ImageAnswer[]> {
    const { maxPixels } = this.#settings
    const wrapped = images.map((image) => new WrappedImage(image, maxPixels))
    if (wrapped.length > 1 && this.#detector.detectBatch !== undefined) {
      const given = await this.#batch(wrapped)
      if (given !== undefined)
        return await Promise.all(wrapped.map((one, index) => this.#answer(one, () => given[index])))
    }
    const answers: ImageAnswer[] = []
    for (const one of wrapped) answers.push(await this.#answer(one, () => this.#detector.detect(one)))
    return answers
  }

  // If a batch fails, its images are tried alone, since one of them may be bad.
  async #batch(images: readonly ModuleImage[]): Promise<readonly unknown[] | undefined> {
    try {
      const given: unknown = await this.#detector.detectBatch?.(images)
      return Array.isArray(given) && given.length === images.length ? given : undefined
    } catch {
      return undefined
    }
  }

  async #answer(image: WrappedImage, work: () => unknown): Promise<ImageAnswer> {
    const { file, categories, confidence } = this.#settings
    try {
      const given = await work()
      const options = { categories, confidence }
      const findings: Findings = parseGiven(given, { size: image.knownSize, where: file, options })
      return { ok: true, findings }
    } catch (error) {
      return { ok: false, error: toThreadError(error) }
    }
  }
}

function isDetector(value: unknown): value is ModuleDetector {
  return typeof value === 'object' && value !== null && 'detect' in value && typeof value.detect === 'function'
}

function unusable(file: string, problem: string, cause?: unknown): InferenceError {
  return new InferenceError('LF_BACKEND_UNUSABLE', `The module ${file} ${problem}.`, { cause, details: { file } })
}

/** The image as a module sees it: as it came, or decoded when it asks for that. */
type ModuleImage = {
  readonly source: ImageSource
  /** The encoded file; undefined for raw pixels. */
  bytes(): Promise<Uint8Array | undefined>
  /** RGB rows, decoded once; throws for a bad image, which should be let through. */
  pixels(): Promise<RawPixels>
}

/** An image on its way through a module, which may only see what a `ModuleImage` has. */
class WrappedImage implements ModuleImage {
  readonly source: OwnedImage
  readonly #maxPixels: number
  #decoded: Promise<RawPixels> | undefined
  #size: ImageSize | undefined

  constructor(source: OwnedImage, maxPixels: number) {
    this.source = source
    this.#maxPixels = maxPixels
    if ('pixels' in source) this.#size = source
  }

  /** Its size as far as it has become known. */
  get knownSize(): ImageSize | undefined {
    return this.#size
  }

  // Closures, since a module may take them out of the image.
  readonly bytes = async (): Promise<Uint8Array | undefined> => {
    return 'pixels' in this.source ? undefined : await bytesOf(this.source)
  }

  readonly pixels = async (): Promise<RawPixels> => {
    this.#decoded ??= decodePixels(this.source, this.#maxPixels)
    const found = await this.#decoded
    this.#size = found
    return found
  }
}
