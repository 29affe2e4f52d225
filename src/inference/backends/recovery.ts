import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { backOffMs, messageOf } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import type { Outage } from './runner.js'

/** Images may wait for a start that is so near; before a later one they are refused. */
const REFUSE_FROM_MS = 2000
const BACK_OFF = { firstMs: 250, maxMs: 30_000 }

export type RecoveryDeps = {
  readonly isWhole: () => boolean
  /** Replaces what is missing; rejects with the reason if it cannot. */
  readonly restore: () => Promise<void>
  readonly onChange: () => void
  readonly log: Logger
}

/** Restores a runner after failures: immediately after the first, and later with each that follows in a row. */
export class Recovery {
  outage: Outage | undefined
  readonly #deps: RecoveryDeps
  readonly #ended = new AbortController()
  #failures = 0
  #isRunning = false

  constructor(deps: RecoveryDeps) {
    this.#deps = deps
  }

  /** Restores until the runner is whole, unless that is under way. */
  begin(cause: unknown): void {
    if (this.#isRunning || this.#ended.signal.aborted) return
    this.#isRunning = true
    void this.#run(cause)
  }

  /** Good work was done, so that the next failure is the first one again. */
  succeeded(): void {
    this.#failures = 0
  }

  end(): void {
    this.#ended.abort()
  }

  async #run(cause: unknown): Promise<void> {
    let error = cause
    while (!this.#deps.isWhole()) {
      await this.#pause(error)
      if (this.#ended.signal.aborted) return
      try {
        await this.#deps.restore()
        this.outage = undefined
      } catch (restoreError) {
        error = restoreError
      }
    }
    this.#isRunning = false
    this.#deps.onChange()
  }

  async #pause(cause: unknown): Promise<void> {
    this.#failures += 1
    const waitMs = this.#failures === 1 ? 0 : backOffMs(this.#failures - 1, BACK_OFF)
    this.#deps.log.warn({ reason: messageOf(cause), failures: this.#failures, waitMs }, 'inference is started again')
    this.outage = waitMs < REFUSE_FROM_MS ? undefined : { cause, nextStartAt: performance.now() + waitMs }
    this.#deps.onChange()
    if (waitMs > 0) await sleep(waitMs, undefined, { signal: this.#ended.signal }).catch(() => {})
  }
}
