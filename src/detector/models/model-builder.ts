import { setTimeout as sleep } from 'node:timers/promises'
import type { InferencePool } from '../../inference/pool.js'
import { unlessAborted } from '../../loop/client/patience.js'
import type { ModelJson } from '../../loop/protocol/index.js'
import type { InstalledModel } from './installed-model.js'
import type { LoadAttempts } from './load-attempts.js'
import type { LoadedModel } from './served-model.js'

export type BuildPool = (folder: string, modelJson: ModelJson) => Promise<InferencePool>

const LATE_BUILD_WAIT_MS = 5000

/** Builds pools, and closes those that are done only when nobody waits for them any more. */
export class ModelBuilder {
  readonly #buildPool: BuildPool
  readonly #attempts: LoadAttempts
  readonly #late = new Set<Promise<void>>()

  constructor(deps: { readonly buildPool: BuildPool; readonly attempts: LoadAttempts }) {
    this.#buildPool = deps.buildPool
    this.#attempts = deps.attempts
  }

  /** Resolves with a warm model; a build cannot be ended, so that an abort only ends the waiting for it. */
  async build(model: InstalledModel, signal: AbortSignal): Promise<LoadedModel> {
    signal.throwIfAborted()
    return await this.#attempts.during(model, () => this.#build(model, signal))
  }

  /** Waits a little for what was given up, so that nothing is left in the usual case. */
  async stop(): Promise<void> {
    const giveUp = new AbortController()
    const pause = sleep(LATE_BUILD_WAIT_MS, undefined, { signal: giveUp.signal }).catch(() => undefined)
    await Promise.race([Promise.all(this.#late), pause])
    giveUp.abort()
  }

  async #build({ version, id, folder, modelJson }: InstalledModel, signal: AbortSignal): Promise<LoadedModel> {
    const building = this.#buildPool(folder, modelJson)
    try {
      const pool = await unlessAborted(building, signal)
      return { version, id, folder, modelJson, pool }
    } catch (error) {
      if (signal.aborted) this.#closeLater(building)
      throw error
    }
  }

  #closeLater(building: Promise<InferencePool>): void {
    const closed = building
      .then((pool) => pool.close())
      .catch(() => undefined) // nobody wants it any more
      .finally(() => this.#late.delete(closed))
    this.#late.add(closed)
  }
}
