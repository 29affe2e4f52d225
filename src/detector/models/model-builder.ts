import { setTimeout as sleep } from 'node:timers/promises'
import type { InferencePool } from '../../inference/index.js'
import { unlessAborted } from '../../loop/client/index.js'
import type { ModelJson } from '../../loop/protocol/index.js'
import type { InstalledModel } from './installed-model.js'
import type { LoadAttempts } from './load-attempts.js'
import type { LoadedModel } from './served-model.js'

export type BuildPool = (
  folder: string,
  modelJson: ModelJson,
  options: {
    /** What is doubtful about it does not keep a model away that has served before. */
    readonly wasServed: boolean
    /** Nobody waits for it any more. */
    readonly signal: AbortSignal
  },
) => Promise<InferencePool>

export type BuildOptions = { readonly signal: AbortSignal; readonly wasServed: boolean }

const LATE_BUILD_WAIT_MS = 4000

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
  async build(model: InstalledModel, options: BuildOptions): Promise<LoadedModel> {
    options.signal.throwIfAborted()
    return await this.#attempts.during(model, () => this.#build(model, options))
  }

  /** Waits a little for what was given up, so that nothing is left in the usual case. */
  async stop(): Promise<void> {
    const giveUp = new AbortController()
    const pause = sleep(LATE_BUILD_WAIT_MS, undefined, { signal: giveUp.signal }).catch(() => undefined)
    await Promise.race([Promise.all(this.#late), pause])
    giveUp.abort()
  }

  async #build(
    { version, id, folder, modelJson }: InstalledModel,
    { signal, wasServed }: BuildOptions,
  ): Promise<LoadedModel> {
    const building = this.#buildPool(folder, modelJson, { wasServed, signal })
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
