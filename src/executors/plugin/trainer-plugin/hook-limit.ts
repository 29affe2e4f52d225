import { Worker } from 'node:worker_threads'
import { messageOf } from '../../../base/index.js'
import type { Awaitable } from './trainer-logic.js'

/** The message to the watching thread: a hook has begun, or has ended (`name` null). */
export type HookNote = { readonly id: number; readonly name: string | null }
export type HookLimitOptions = { readonly limitMs: number; readonly eventsFile: string }

/** A hook threw. */
class HookFailedError extends Error {
  constructor(name: string, cause: unknown) {
    super(`The hook "${name}" failed: ${messageOf(cause)}`, { cause })
  }
}

/**
 * Calls short hooks and ends this process (SIGALRM) when one takes longer than it may. A thread watches them, since a
 * hook that loops indefinitely would also stop every timer here.
 */
export class HookLimit {
  readonly #thread: Worker
  #count = 0

  constructor(options: HookLimitOptions) {
    this.#thread = new Worker(new URL('./hook-limit-thread.js', import.meta.url), { workerData: options })
    this.#thread.unref()
  }

  /** Throws HookFailedError. */
  async call<T>(name: string, hook: () => Awaitable<T>): Promise<T> {
    this.#count += 1
    const id = this.#count
    this.#tell({ id, name })
    try {
      return await hook()
    } catch (error) {
      throw new HookFailedError(name, error)
    } finally {
      this.#tell({ id, name: null })
    }
  }

  #tell(note: HookNote): void {
    this.#thread.postMessage(note)
  }
}
