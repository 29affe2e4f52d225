import { performance } from 'node:perf_hooks'
import type { ImageSource } from '../../images/index.js'
import type { ImageAnswer } from '../backends/runner.js'
import { InferenceError } from '../basics/index.js'
import type { RequestOptions } from './inference-pool.js'

export type Verdict = { readonly answer: ImageAnswer | undefined; readonly threadId: number }

/** One image in the queue or in a thread; settled once, by its answer, its deadline or its signal. */
export class WaitingImage {
  readonly image: ImageSource
  readonly mayMove: boolean
  readonly verdict: Promise<Verdict>
  isSettled = false
  /** Its batch failed or hangs, so it is processed once more, alone. */
  goesAgain = false
  readonly #options: RequestOptions
  readonly #expiresAt: number
  readonly #onSettled: (image: WaitingImage) => void
  #resolve: (verdict: Verdict) => void = () => {}
  #reject: (reason: unknown) => void = () => {}
  #timer: NodeJS.Timeout | undefined

  constructor(image: ImageSource, options: RequestOptions, onSettled: (image: WaitingImage) => void) {
    const { signal, deadlineMs, mayMove = false } = options
    this.image = image
    this.mayMove = mayMove
    this.#options = options
    this.#onSettled = onSettled
    this.verdict = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.verdict.catch(() => {}) // the caller may have given up
    this.#expiresAt = deadlineMs === undefined ? Number.POSITIVE_INFINITY : performance.now() + deadlineMs
    if (deadlineMs !== undefined) this.#timer = setTimeout(this.#expire, deadlineMs)
    signal?.addEventListener('abort', this.#giveUp, { once: true })
  }

  /** False, and settled, if its deadline has passed; a busy event loop may be later than the timer. */
  isStillWanted(): boolean {
    if (!this.isSettled && performance.now() >= this.#expiresAt) this.#expire()
    return !this.isSettled
  }

  resolve(verdict: Verdict): void {
    if (this.#settle()) this.#resolve(verdict)
  }

  reject(reason: unknown): void {
    if (this.#settle()) this.#reject(reason)
  }

  readonly #giveUp = () => this.reject(this.#options.signal?.reason)

  readonly #expire = () => {
    const { deadlineMs = 0 } = this.#options
    const message = `The image was not done within its ${deadlineMs} ms.`
    this.reject(new InferenceError('LF_INFERENCE_DEADLINE', message, { failure: 'transient', details: { deadlineMs } }))
  }

  #settle(): boolean {
    if (this.isSettled) return false
    this.isSettled = true
    clearTimeout(this.#timer)
    this.#options.signal?.removeEventListener('abort', this.#giveUp)
    this.#onSettled(this)
    return true
  }
}
