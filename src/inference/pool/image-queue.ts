import { performance } from 'node:perf_hooks'
import { messageOf } from '../../base/index.js'
import { ImageError, type ImageSource, isImageError, memoryOf, type OwnedImage, toOwned } from '../../images/index.js'
import type { Batch, Outage, Runner, StartedBatch } from '../backends/runner.js'
import { fromThreadError, toThreadError } from '../backends/thread-error.js'
import { InferenceError } from '../basics/index.js'
import { BundleSize } from './bundle-size.js'
import type { DetectResult, InferencePool, RequestOptions } from './inference-pool.js'
import { type Verdict, WaitingImage } from './waiting-image.js'

export type ImageQueueOptions = {
  readonly maxQueue: number
  readonly deadlineMs: number | undefined
  /** Most images of one batch; undefined leaves it to the backend. */
  readonly maxImages: number | undefined
  readonly threshold: number | undefined
  /** About the model, from before it was loaded. */
  readonly warnings: readonly string[]
}

/** After this time a batch of several images keeps only those that it has begun; the others go to another thread. */
const HELD_UP_MS = 250
/** Images of a bundle are copied, since they may be processed again; larger images are moved alone instead. */
const BUNDLE_BYTES = 512 * 1024

/** Gives images to a runner in order of arrival; images that wait when the runner is free may go together. */
export class ImageQueue implements InferencePool {
  readonly #runner: Runner
  readonly #options: ImageQueueOptions
  readonly #rate = new RecentRate(() => performance.now())
  readonly #bundles = new BundleSize()
  readonly #waiting: WaitingImage[] = []
  /** Images whose batch failed or hangs: they go first, and alone. */
  readonly #repeated: WaitingImage[] = []
  readonly #whenEmpty = new Set<() => void>()
  #running = 0
  #closed: Promise<void> | undefined

  constructor(openRunner: (onChange: () => void) => Runner, options: ImageQueueOptions) {
    this.#options = options
    this.#runner = openRunner(() => this.#onChange())
  }

  get threadIds(): readonly number[] {
    return [...this.#runner.threadIds]
  }

  get threshold(): number | undefined {
    return this.#options.threshold
  }

  get warnings(): readonly string[] {
    return [...this.#options.warnings, ...this.#runner.warnings]
  }

  get inFlight(): number {
    return this.#waiting.length + this.#repeated.length + this.#running
  }

  /** Loads the model. */
  async start(): Promise<void> {
    await this.#runner.start()
  }

  async detect(image: ImageSource, options: RequestOptions = {}): Promise<DetectResult> {
    this.#admit(1, options.signal)
    return this.#toResult(await this.#enter(image, options).verdict)
  }

  async detectBatch(images: readonly ImageSource[], options: RequestOptions = {}): Promise<DetectResult[]> {
    this.#admit(images.length, options.signal)
    const entered = images.map((image) => this.#enter(image, options, false))
    this.#dispatch()
    return await Promise.all(entered.map(({ verdict }, index) => this.#resultInBatch(verdict, index)))
  }

  /** The error of an image names its position in the batch. */
  async #resultInBatch(verdict: Promise<Verdict>, index: number): Promise<DetectResult> {
    try {
      return this.#toResult(await verdict)
    } catch (error) {
      if (!isImageError(error)) throw error
      throw new ImageError(error.code, `images[${index}]: ${error.message}`, { cause: error, details: error.details })
    }
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #close(): Promise<void> {
    if (this.inFlight > 0) await new Promise<void>((resolve) => this.#whenEmpty.add(resolve))
    await this.#runner.close()
  }

  #admit(count: number, signal: AbortSignal | undefined): void {
    signal?.throwIfAborted()
    if (this.#closed !== undefined) throw new InferenceError('LF_INFERENCE_CLOSED', 'The inference pool is closed.')
    if (this.#runner.outage !== undefined) throw downError(this.#runner.outage)
    if (this.#waiting.length + count - this.#runner.free <= this.#options.maxQueue) return
    const retryAfterSeconds = this.#rate.secondsFor(this.inFlight)
    const message = `${this.#waiting.length} images already wait for inference; try again in ${retryAfterSeconds} s.`
    const details = { maxQueue: this.#options.maxQueue, retryAfterSeconds }
    throw new InferenceError('LF_INFERENCE_BUSY', message, { failure: 'transient', details })
  }

  #enter(image: ImageSource, options: RequestOptions, dispatch = true): WaitingImage {
    const withDeadline = { ...options, deadlineMs: options.deadlineMs ?? this.#options.deadlineMs }
    const entered = new WaitingImage(image, withDeadline, (settled) => this.#forget(settled))
    this.#waiting.push(entered)
    if (dispatch) this.#dispatch()
    return entered
  }

  #forget(image: WaitingImage): void {
    for (const queue of [this.#waiting, this.#repeated]) {
      const index = queue.indexOf(image)
      if (index >= 0) queue.splice(index, 1)
    }
    this.#tellIfEmpty()
  }

  #onChange(): void {
    const { outage } = this.#runner
    if (outage !== undefined) {
      for (const image of [...this.#repeated, ...this.#waiting]) image.reject(downError(outage))
    }
    this.#dispatch()
  }

  #dispatch(): void {
    while (this.#runner.free > 0) {
      const batch = this.#take()
      if (batch.length === 0) return
      void this.#work(batch)
    }
  }

  /** The images for one thread: its share of those that wait, so that the other threads get some too. */
  #take(): Prepared[] {
    for (let chosen = this.#choose(); chosen.length > 0; chosen = this.#choose()) {
      const ready = chosen.flatMap((image) => prepare(image, chosen.length === 1) ?? [])
      if (ready.length > 0) return ready
    }
    return []
  }

  #choose(): WaitingImage[] {
    for (let image = this.#repeated.shift(); image !== undefined; image = this.#repeated.shift()) {
      if (image.isStillWanted()) return [image]
    }
    const share = Math.ceil(this.#waiting.length / this.#runner.width)
    const atOnce = this.#atOnce()
    const most = Math.min(share, this.#runner.takesBundles ? Math.max(atOnce, this.#bundles.most) : atOnce)
    const chosen: WaitingImage[] = []
    let bytes = 0
    for (let image = this.#waiting[0]; image !== undefined; image = this.#waiting[0]) {
      bytes += memoryOf(image.image)
      if (chosen.length >= (bytes > BUNDLE_BYTES ? Math.min(most, atOnce) : most)) break
      this.#waiting.shift()
      if (image.isStillWanted()) chosen.push(image)
    }
    return chosen
  }

  /** Images that the backend is given in one call. */
  #atOnce(): number {
    const { maxImages, wantsBatches } = this.#runner
    if (this.#options.maxImages === undefined) return wantsBatches ? maxImages : 1
    return Math.min(this.#options.maxImages, maxImages)
  }

  async #work(images: readonly Prepared[]): Promise<void> {
    const atOnce = this.#atOnce()
    this.#running += images.length
    const owned = images.map((one) => one.owned)
    const batch = this.#runner.run(owned, atOnce)
    const heldUp = images.length > 1 ? setTimeout(() => this.#passOn(images, batch, atOnce), HELD_UP_MS) : undefined
    try {
      this.#answer(images, await batch.done)
    } catch (error) {
      for (const [index, { image }] of images.entries()) {
        if (images.length === 1 || (atOnce === 1 && isLate(error) && isAt(batch, index, 1))) image.reject(error)
        else this.#goAgain(image)
      }
    }
    clearTimeout(heldUp)
    this.#running -= images.length
    this.#dispatch()
    this.#tellIfEmpty()
  }

  #answer(images: readonly Prepared[], { answers, threadId, workMs }: Batch): void {
    this.#rate.add(images.length)
    this.#bundles.learn(images.length, workMs)
    for (const [index, { image }] of images.entries()) image.resolve({ answer: answers[index], threadId })
  }

  /** A thread hangs, or its images have become slow: those that it has not begun go to other threads. */
  #passOn(images: readonly Prepared[], batch: StartedBatch, atOnce: number): void {
    for (const [index, { image }] of images.entries()) if (!isAt(batch, index, atOnce)) this.#goAgain(image)
    this.#dispatch()
  }

  #goAgain(image: WaitingImage): void {
    if (image.goesAgain || !image.isStillWanted()) return
    image.goesAgain = true
    this.#repeated.push(image)
  }

  #toResult({ answer, threadId }: Verdict): DetectResult {
    if (answer === undefined)
      throw new InferenceError('LF_INFERENCE_FAILED', 'The backend gave fewer answers than images.')
    if (!answer.ok) throw fromThreadError(answer.error)
    return { detections: answer.findings, threadId }
  }

  #tellIfEmpty(): void {
    if (this.inFlight > 0) return
    for (const resolve of this.#whenEmpty) resolve()
    this.#whenEmpty.clear()
  }
}

function isLate(error: unknown): boolean {
  return error instanceof InferenceError && error.code === 'LF_INFERENCE_TIMEOUT'
}

function downError({ cause, nextStartAt }: Outage): InferenceError {
  const retryAfterSeconds = Math.max(1, Math.ceil((nextStartAt - performance.now()) / 1000))
  const message = `Inference is down (${messageOf(cause)}); it is started again in ${retryAfterSeconds} s.`
  const details = { retryAfterSeconds }
  return new InferenceError('LF_INFERENCE_DOWN', message, { cause, failure: 'transient', details })
}

/** Whether this image is in the last call of the backend, alone or with others. */
function isAt(batch: StartedBatch, index: number, atOnce: number): boolean {
  const begun = batch.begun()
  return index < begun && index >= begun - ((begun - 1) % atOnce) - 1
}

type Prepared = { readonly image: WaitingImage; readonly owned: OwnedImage }

/** Undefined for an image that is settled, or whose memory was moved. Only an image that goes alone is moved: one in a batch may be processed again. */
function prepare(image: WaitingImage, goesAlone: boolean): Prepared | undefined {
  if (!image.isStillWanted()) return undefined
  try {
    return { image, owned: toOwned(image.image, image.mayMove && goesAlone) }
  } catch (error) {
    const { message } = toThreadError(error)
    image.reject(new InferenceError('LF_IMAGE_UNREADABLE', `The image's memory is gone: ${message}`, { cause: error }))
    return undefined
  }
}

const REMEMBERED = 64
const LONGEST_SECONDS = 60

/** The rate of the last images, from which the `Retry-After` of a client is calculated. */
class RecentRate {
  readonly #now: () => number
  #ends: number[] = []

  constructor(now: () => number) {
    this.#now = now
  }

  add(images: number): void {
    const now = this.#now()
    for (let index = 0; index < images; index++) this.#ends.push(now)
    if (this.#ends.length > 2 * REMEMBERED) this.#ends = this.#ends.slice(-REMEMBERED)
  }

  /** Whole seconds, 1…60, until that many images will be done; 1 while nothing is known. */
  secondsFor(images: number): number {
    const ends = this.#ends.slice(-REMEMBERED)
    const [first] = ends
    if (first === undefined) return 1
    const seconds = Math.max(0.001, (this.#now() - first) / 1000)
    return Math.min(LONGEST_SECONDS, Math.max(1, Math.ceil((images * seconds) / ends.length)))
  }
}
