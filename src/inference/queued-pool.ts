import { performance } from 'node:perf_hooks'
import { messageOf } from '../base/errors.js'
import type { Logger } from '../base/logger.js'
import { ImageError, isImageError } from '../images/errors.js'
import { BundleSize } from './bundle-size.js'
import { InferenceError } from './errors.js'
import { type ImageSource, memoryOf, type OwnedImage, toOwned } from './image-source.js'
import type { DetectResult, InferencePool, RequestOptions } from './inference-pool.js'
import type { Lane } from './lane.js'
import { LaneKeeper } from './lane-keeper.js'
import { RecentRate } from './recent-rate.js'
import { fromThreadError, toThreadError } from './thread-error.js'
import { type Verdict, WaitingImage } from './waiting-image.js'

export type QueuedPoolOptions = {
  readonly maxQueue: number
  readonly deadlineMs: number | undefined
  /** Most images of one batch; undefined leaves it to the backend. */
  readonly maxImages: number | undefined
  readonly threshold: number | undefined
  /** About the model, from before it was loaded. */
  readonly warnings: readonly string[]
}

const EXIT_WAIT_MS = 10_000
/** A run of several that takes longer keeps only the images it has begun. */
const HELD_UP_MS = 250
/** Images of a bundle are copied, since they may have to go again; larger ones are better moved alone. */
const BUNDLE_BYTES = 512 * 1024

/** Hands images to the lanes in order of arrival; what already waits when a lane gets free may go together. */
export class QueuedPool implements InferencePool {
  readonly #lanes: readonly LaneKeeper[]
  readonly #options: QueuedPoolOptions
  readonly #rate = new RecentRate(() => performance.now())
  readonly #bundles = new BundleSize()
  readonly #waiting: WaitingImage[] = []
  /** Those that did not get through together with others, which go first and alone. */
  readonly #again: WaitingImage[] = []
  readonly #threadIds = new Set<number>()
  readonly #mending = new Set<Promise<void>>()
  readonly #ending = new AbortController()
  readonly #whenEmpty = new Set<() => void>()
  #running = 0
  #closed: Promise<void> | undefined

  // A process that exits ends its threads wherever they are.
  readonly #onExit = () => {
    for (const lane of this.#lanes) lane.prepareExit(EXIT_WAIT_MS)
  }

  constructor(lanes: readonly Lane[], options: QueuedPoolOptions, deps: { readonly log: Logger }) {
    this.#lanes = lanes.map((lane) => new LaneKeeper(lane, deps))
    this.#options = options
    process.once('exit', this.#onExit)
  }

  get threadIds(): readonly number[] {
    return [...this.#threadIds]
  }

  get threshold(): number | undefined {
    return this.#options.threshold
  }

  get warnings(): readonly string[] {
    return [...this.#options.warnings, ...(this.#lanes[0]?.warnings ?? [])]
  }

  get inFlight(): number {
    return this.#waiting.length + this.#again.length + this.#running
  }

  /**
   * Loads the model in all lanes; they have to be through before they may be closed, also when one has failed. The first
   * tries it alone: a model that never ends costs one thread then, not all.
   */
  async start(): Promise<void> {
    const [first, ...others] = this.#lanes
    if (first !== undefined) this.#threadIds.add(await first.start())
    const starts = await Promise.allSettled(others.map((lane) => lane.start()))
    for (const start of starts) {
      if (start.status === 'rejected') throw start.reason
      this.#threadIds.add(start.value)
    }
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

  /** What an image is refused for names its place in the batch. */
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
    this.#ending.abort()
    await Promise.all(this.#lanes.map((lane) => lane.close()))
    await Promise.all(this.#mending)
    process.removeListener('exit', this.#onExit)
  }

  #admit(count: number, signal: AbortSignal | undefined): void {
    signal?.throwIfAborted()
    if (this.#closed !== undefined) throw new InferenceError('LF_INFERENCE_CLOSED', 'The inference pool is closed.')
    if (this.#lanes.every(({ state }) => state === 'broken')) throw this.#downError()
    const idle = this.#lanes.filter(({ state }) => state === 'idle').length
    if (this.#waiting.length + count - idle <= this.#options.maxQueue) return
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
    for (const queue of [this.#waiting, this.#again]) {
      const index = queue.indexOf(image)
      if (index >= 0) queue.splice(index, 1)
    }
    this.#tellIfEmpty()
  }

  #dispatch(): void {
    for (const lane of this.#lanes) {
      if (lane.state !== 'idle') continue
      const batch = this.#take(lane)
      if (batch.length === 0) return
      void this.#work(lane, batch)
    }
  }

  /** What goes to the lane now: its share of what waits, so that the others find something too. */
  #take(lane: LaneKeeper): Prepared[] {
    for (let chosen = this.#choose(lane); chosen.length > 0; chosen = this.#choose(lane)) {
      const ready = chosen.flatMap((image) => prepare(image, chosen.length === 1) ?? [])
      if (ready.length > 0) return ready
    }
    return []
  }

  #choose(lane: LaneKeeper): WaitingImage[] {
    for (let image = this.#again.shift(); image !== undefined; image = this.#again.shift()) {
      if (image.isStillWanted()) return [image]
    }
    const share = Math.ceil(this.#waiting.length / this.#lanes.filter(({ state }) => state !== 'broken').length)
    const atOnce = this.#mostOf(lane)
    const most = Math.min(share, lane.takesBundles ? Math.max(atOnce, this.#bundles.most) : atOnce)
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

  #mostOf({ maxImages, wantsBatches }: LaneKeeper): number {
    const { maxImages: asked } = this.#options
    if (asked === undefined) return wantsBatches ? maxImages : 1
    return Math.min(asked, maxImages)
  }

  async #work(lane: LaneKeeper, batch: readonly Prepared[]): Promise<void> {
    const atOnce = this.#mostOf(lane)
    this.#running += batch.length
    const heldUp = batch.length > 1 ? setTimeout(() => this.#passOn(lane, batch, atOnce), HELD_UP_MS) : undefined
    let failure: { readonly error: unknown } | undefined
    try {
      const owned = batch.map((one) => one.owned)
      const { answers, threadId, workMs } = await lane.run(owned, atOnce)
      this.#threadIds.add(threadId)
      this.#rate.add(batch.length)
      this.#bundles.learn(batch.length, workMs)
      for (const [index, { image }] of batch.entries()) image.resolve({ answer: answers[index], threadId })
    } catch (error) {
      failure = { error }
      for (const [index, { image }] of batch.entries()) {
        if (batch.length === 1 || (atOnce === 1 && isLate(error) && isAt(lane, index, 1))) image.reject(error)
        else this.#goAgain(image)
      }
    }
    clearTimeout(heldUp)
    if (failure !== undefined) this.#mend(lane, failure.error)
    this.#running -= batch.length
    this.#dispatch()
    this.#tellIfEmpty()
  }
  /** A thread hangs, or its images are no longer quick: others need not wait for those it is at. */
  #passOn(lane: LaneKeeper, batch: readonly Prepared[], atOnce: number): void {
    for (const [index, { image }] of batch.entries()) if (!isAt(lane, index, atOnce)) this.#goAgain(image)
    this.#dispatch()
  }

  #goAgain(image: WaitingImage): void {
    if (image.goesAgain || !image.isStillWanted()) return
    image.goesAgain = true
    this.#again.push(image)
  }

  #mend(lane: LaneKeeper, cause: unknown): void {
    const mending = lane
      .mend(cause, this.#ending.signal, () => this.#refuseIfDown())
      .then((threadId) => {
        if (threadId === undefined) return
        this.#threadIds.add(threadId)
        this.#dispatch()
      })
      .finally(() => this.#mending.delete(mending))
    this.#mending.add(mending)
  }

  #refuseIfDown(): void {
    if (this.#lanes.some(({ state }) => state !== 'broken')) return
    for (const image of [...this.#again, ...this.#waiting]) image.reject(this.#downError())
  }

  #downError(): InferenceError {
    const now = performance.now()
    const retryAfterSeconds = Math.min(...this.#lanes.map((lane) => lane.secondsToStart(now)))
    const cause = this.#lanes[0]?.error
    const message = `Inference is down (${messageOf(cause)}); it is started again in ${retryAfterSeconds} s.`
    return new InferenceError('LF_INFERENCE_DOWN', message, {
      cause,
      failure: 'transient',
      details: { retryAfterSeconds },
    })
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

/** Whether the lane is at this image of its run, or at a batch with it. */
function isAt({ begun }: LaneKeeper, index: number, atOnce: number): boolean {
  return index < begun && index >= begun - ((begun - 1) % atOnce) - 1
}

type Prepared = { readonly image: WaitingImage; readonly owned: OwnedImage }

/** Undefined for an image that nobody wants any more, or whose memory is gone. An image in a batch may have to go again. */
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
