import { type BackOffOptions, backOffMs, failureClassOf, LoopfleetError, messageOf } from '../../base/index.js'
import { LoopRequestError } from '../../loop/client/index.js'
import { isSameModel, type ModelTarget } from './target.js'

export type FailedTargetsOptions = {
  /** After what may pass by itself: the network, the Loop. */
  readonly retry?: BackOffOptions
  /** After a model that was refused. */
  readonly badModel?: BackOffOptions
}

type Failure = {
  readonly target: ModelTarget
  count: number
  message: string
  /** Trying it has cost a thread, which may be lost. */
  isSlow: boolean
  timer: NodeJS.Timeout | undefined
}

const MOST_REMEMBERED = 100

/** Which targets could not be loaded, and are kept away for a time that grows with each failure of the same one. */
export class FailedTargets {
  readonly #retry: BackOffOptions
  readonly #badModel: BackOffOptions
  readonly #onDue: () => void
  readonly #lostThreads: () => number
  #failures: Failure[] = []

  constructor(
    options: FailedTargetsOptions,
    deps: {
      readonly onDue: () => void
      /** Threads that are inside a model and do not come back: no model that may be the cause is tried meanwhile. */
      readonly lostThreads: () => number
    },
  ) {
    this.#retry = { firstMs: 5000, maxMs: 300_000, ...options.retry }
    this.#badModel = { firstMs: 5000, maxMs: 3_600_000, ...options.badModel }
    this.#onDue = deps.onDue
    this.#lostThreads = deps.lostThreads
  }

  /** Returns for how long the target is kept away. Waits by a timer, which no jump of the clock disturbs. */
  add(target: ModelTarget, error: unknown, times = 1): number {
    const failure = this.#find(target) ?? this.#remember(target)
    failure.count += times
    failure.message = messageOf(error)
    failure.isSlow = isSlow(error)
    const waitMs = backOffMs(failure.count, isBadModel(error) ? this.#badModel : this.#retry)
    this.#keepAway(failure, waitMs)
    return waitMs
  }

  #keepAway(failure: Failure, waitMs: number): void {
    clearTimeout(failure.timer)
    failure.timer = setTimeout(() => {
      failure.timer = undefined
      if (failure.isSlow && this.#lostThreads() > 0) this.#keepAway(failure, waitMs)
      else this.#onDue()
    }, waitMs)
  }

  isKeptAway(target: ModelTarget): boolean {
    return this.#find(target)?.timer !== undefined
  }

  messageFor(target: ModelTarget): string | undefined {
    return this.#find(target)?.message
  }

  forget(target: ModelTarget): void {
    clearTimeout(this.#find(target)?.timer)
    this.#failures = this.#failures.filter((failure) => !isSameModel(failure.target, target))
  }

  clear(): void {
    for (const { timer } of this.#failures) clearTimeout(timer)
    this.#failures = []
  }

  #find(target: ModelTarget): Failure | undefined {
    return this.#failures.find((failure) => isSameModel(failure.target, target))
  }

  #remember(target: ModelTarget): Failure {
    const failure: Failure = { target, count: 0, message: '', isSlow: false, timer: undefined }
    this.#failures.push(failure)
    if (this.#failures.length > MOST_REMEMBERED) clearTimeout(this.#failures.shift()?.timer)
    return failure
  }
}

function isSlow(error: unknown): boolean {
  if (error instanceof LoopfleetError && error.code === 'LF_MODEL_SLOW') return true
  return error instanceof Error && error.cause !== undefined && isSlow(error.cause)
}

// A 404 may be a format that a converter has yet to make, so it counts as something that passes.
function isBadModel(error: unknown): boolean {
  return failureClassOf(error) !== 'transient' && !(error instanceof LoopRequestError)
}
