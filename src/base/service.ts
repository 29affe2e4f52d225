import { type Closers, createClosers } from './closers.js'
import { LoopfleetError } from './errors.js'
import type { Logger } from './logger/index.js'

/** What lives longer than a call. It lives once: after `stop` it cannot be started again. */
export interface Service {
  /**
   * Opens what the service needs. If `signal` aborts before that is done, everything is closed again and the reason is
   * thrown; afterwards the signal has no effect, and only `stop` ends the service. A second call returns the promise
   * of the first one; after `stop` it throws.
   */
  start(options: { readonly signal: AbortSignal }): Promise<void>
  /** Closes everything; may come before, during or after `start`, and more than once. Never throws. */
  stop(reason?: unknown): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** A service as its author sees it. */
export type OwnedService = Service & {
  /** Aborts as soon as the service is asked to end, before anything is closed. */
  readonly signal: AbortSignal
}

/**
 * Opens the resources of a service one after the other and registers a closer for each, before or immediately after it
 * is opened. The signal aborts when the service is asked to end, also in the middle of `open`.
 */
export type Open = (signal: AbortSignal, closers: Closers) => Promise<void> | void

/** A call to `start` came after the service was stopped. */
class ServiceStoppedError extends LoopfleetError {
  static {
    this.prototype.name = 'ServiceStoppedError'
  }
  constructor(name: string) {
    super('LF_SERVICE_STOPPED', `The service "${name}" was stopped; create another one to start it again.`)
  }
}

/** How long `stop` waits for an `open` that does not end on its signal; its later resources are closed one by one. */
const OPEN_GRACE_MS = 2000

/**
 * Makes a service of `open`: the one place in which starting and stopping is decided. Closers run once, in reverse
 * order, whenever `stop` comes and also when `open` fails.
 */
export function createService(name: string, open: Open, { log }: { readonly log: Logger }): OwnedService {
  const closers = createClosers(log)
  const life = new AbortController()
  let opening: Promise<void> | undefined
  let starting: Promise<void> | undefined
  let stopping: Promise<void> | undefined

  async function run(signal: AbortSignal): Promise<void> {
    const end = () => life.abort(signal.reason)
    signal.addEventListener('abort', end, { once: true })
    try {
      signal.throwIfAborted()
      opening = Promise.resolve(open(life.signal, closers))
      await Promise.race([opening, rejectOnAbort(life.signal)])
      life.signal.throwIfAborted()
    } catch (error) {
      await stop(error)
      throw error
    } finally {
      signal.removeEventListener('abort', end)
    }
  }

  async function end(reason: unknown): Promise<void> {
    life.abort(reason)
    await settledWithin(opening, OPEN_GRACE_MS)
    await closers.closeAll(reason)
  }

  function stop(reason: unknown = new ServiceStoppedError(name)): Promise<void> {
    stopping ??= end(reason)
    return stopping
  }

  return {
    signal: life.signal,
    start({ signal }) {
      if (stopping !== undefined) return Promise.reject(new ServiceStoppedError(name))
      starting ??= run(signal)
      return starting
    },
    stop,
    [Symbol.asyncDispose]: () => stop(),
  }
}

function rejectOnAbort(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const fail = () => reject(signal.reason)
    if (signal.aborted) fail()
    else signal.addEventListener('abort', fail, { once: true })
  })
}

async function settledWithin(promise: Promise<void> | undefined, ms: number): Promise<void> {
  if (promise === undefined) return
  let timer: NodeJS.Timeout | undefined
  const tooLate = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms)
  })
  await Promise.race([promise.catch(() => undefined), tooLate])
  clearTimeout(timer)
}
