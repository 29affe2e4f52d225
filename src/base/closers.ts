import { messageOf } from './errors.js'
import type { Logger } from './logger/index.js'

/** Closes one resource; `reason` is why its owner ends. */
type Close = (reason: unknown) => unknown

/** Where the opener of a resource registers how to close it. */
export type Closers = {
  /**
   * Registers how to close what was just opened, or is about to be. If the owner has ended already, the resource is
   * closed immediately. An error of `close` is logged; the other closers still run.
   */
  add(name: string, close: Close): void
}

export type ClosersOwner = Closers & {
  /** Runs every closer once, the newest first, each after the one before has settled. Later calls wait for the first. */
  closeAll(reason?: unknown): Promise<void>
}

export function createClosers(log: Logger): ClosersOwner {
  const registered: { readonly name: string; readonly close: Close }[] = []
  let closing: Promise<void> | undefined
  let why: unknown

  async function run(): Promise<void> {
    for (let next = registered.pop(); next !== undefined; next = registered.pop()) {
      try {
        await next.close(why)
      } catch (error) {
        log.warn({ part: next.name, reason: messageOf(error) }, 'part did not close cleanly')
      }
    }
  }

  return {
    add(name, close) {
      registered.push({ name, close })
      // After the first `closeAll`, what is registered late is closed behind what is still being closed.
      if (closing !== undefined) closing = closing.then(run)
    },
    closeAll(reason) {
      if (closing === undefined) why = reason
      closing ??= run()
      return closing
    },
  }
}

/** Does `work` with closers that run when it ends, in whatever way: for what lives as long as one call. */
export async function withClosers<T>(log: Logger, work: (closers: Closers) => Promise<T>): Promise<T> {
  const closers = createClosers(log)
  try {
    return await work(closers)
  } finally {
    await closers.closeAll()
  }
}

/**
 * Opens a resource that is made of several, and adds the `close` of all of them, which may be called more than once.
 * What is open already is closed when `open` throws.
 */
export async function openResource<T extends object>(
  log: Logger,
  open: (closers: Closers) => Promise<T>,
): Promise<T & { close(): Promise<void> }> {
  const closers = createClosers(log)
  try {
    return Object.assign(await open(closers), { close: () => closers.closeAll() })
  } catch (error) {
    await closers.closeAll(error)
    throw error
  }
}
