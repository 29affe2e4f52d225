import { setTimeout as sleep } from 'node:timers/promises'
import { backOffMs } from '../base/back-off.js'
import { messageOf } from '../base/errors.js'
import type { Logger } from '../base/logger.js'
import type { OwnedImage } from './image-source.js'
import type { Lane, LaneRun } from './lane.js'

export type LaneState =
  | 'idle'
  | 'busy'
  /** Will be there within two seconds, if all goes well: images may wait for it. */
  | 'starting'
  /** Has failed again and again; the next start is seconds away. */
  | 'broken'

const PATIENCE_MS = 2000
const BACK_OFF = { firstMs: 250, maxMs: 30_000 }

/** Keeps one lane at work: starts it, and again after a failure, the sooner the fewer failures came in a row. */
export class LaneKeeper {
  state: LaneState = 'starting'
  maxImages = 1
  wantsBatches = false
  warnings: readonly string[] = []
  /** Why it is broken. */
  error: unknown
  readonly #lane: Lane
  readonly #log: Logger
  #failures = 0
  #nextStartAt = 0

  constructor(lane: Lane, deps: { readonly log: Logger }) {
    this.#lane = lane
    this.#log = deps.log
  }

  /** The first start; the id of its thread or process. */
  async start(): Promise<number> {
    const { threadId, maxImages, wantsBatches, warnings = [] } = await this.#lane.start()
    this.warnings = warnings
    this.maxImages = maxImages
    this.wantsBatches = wantsBatches
    this.state = 'idle'
    return threadId
  }

  get takesBundles(): boolean {
    return this.#lane.takesBundles
  }

  /** How many images of the run the backend has been given. */
  get begun(): number {
    return this.#lane.begun
  }

  async run(images: readonly OwnedImage[], atOnce: number): Promise<LaneRun> {
    this.state = 'busy'
    const run = await this.#lane.run(images, atOnce)
    this.#failures = 0
    this.state = 'idle'
    return run
  }

  /** After a failed run: starts the lane until that succeeds, as `start`; undefined if the signal came first. */
  async mend(cause: unknown, signal: AbortSignal, onBroken: () => void): Promise<number | undefined> {
    for (let error = cause; !signal.aborted; ) {
      await this.#pause(error, signal, onBroken)
      if (signal.aborted) return undefined
      try {
        return await this.start()
      } catch (startError) {
        error = startError
      }
    }
    return undefined
  }

  secondsToStart(now: number): number {
    return Math.max(1, Math.ceil((this.#nextStartAt - now) / 1000))
  }

  close(): Promise<void> {
    return this.#lane.close()
  }

  prepareExit(maxMs: number): void {
    this.#lane.prepareExit(maxMs)
  }

  async #pause(error: unknown, signal: AbortSignal, onBroken: () => void): Promise<void> {
    this.#failures += 1
    const waitMs = this.#failures === 1 ? 0 : backOffMs(this.#failures - 1, BACK_OFF)
    this.error = error
    this.#nextStartAt = performance.now() + waitMs
    this.state = waitMs < PATIENCE_MS ? 'starting' : 'broken'
    this.#log.warn({ reason: messageOf(error), failures: this.#failures, waitMs }, 'inference is started again')
    if (this.state === 'broken') onBroken()
    if (waitMs > 0) await sleep(waitMs, undefined, { signal }).catch(() => {})
  }
}
