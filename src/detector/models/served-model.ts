import type { Logger } from '../../base/logger/index.js'
import type { InferencePool } from '../../inference/index.js'
import type { ModelJson } from '../../loop/protocol/index.js'

export type LoadedModel = {
  readonly version: string
  readonly id: string
  readonly folder: string
  readonly modelJson: ModelJson
  readonly pool: InferencePool
}

/** The model that answers, and those that still have requests to finish. Counts users, since a pool may not be closed under them. */
export class ServedModel {
  readonly #log: Logger
  readonly #retired = new Map<Held, Promise<void>>()
  #held: Held | null = null

  constructor(deps: { readonly log: Logger }) {
    this.#log = deps.log
  }

  get model(): LoadedModel | null {
    return this.#held?.model ?? null
  }

  /** Folders that threads may still read from. */
  get folders(): ReadonlySet<string> {
    const held = this.#held === null ? [] : [this.#held]
    return new Set([...held, ...this.#retired.keys()].map(({ model }) => model.folder))
  }

  /** Undefined without a model; otherwise the model stays open until the work is done, whatever is swapped meanwhile. */
  use<T>(work: (model: LoadedModel) => Promise<T>): Promise<T> | undefined {
    return this.#held?.use(work)
  }

  /** From now on this one answers; the old one is closed when its last request is done. */
  swap(model: LoadedModel | null): void {
    const old = this.#held
    this.#held = model === null ? null : new Held(model)
    if (old !== null) this.#retire(old)
  }

  /** Resolves when every model that was swapped out is closed. */
  async allClosed(): Promise<void> {
    while (this.#retired.size > 0) await Promise.all(this.#retired.values())
  }

  #retire(held: Held): void {
    const closed = held
      .unused()
      .then(() => held.model.pool.close())
      .catch((err: unknown) => this.#log.warn({ err, version: held.model.version }, 'an old model could not be closed'))
      .finally(() => this.#retired.delete(held))
    this.#retired.set(held, closed)
  }
}

class Held {
  readonly model: LoadedModel
  #users = 0
  #onUnused: (() => void) | undefined

  constructor(model: LoadedModel) {
    this.model = model
  }

  async use<T>(work: (model: LoadedModel) => Promise<T>): Promise<T> {
    this.#users += 1
    try {
      return await work(this.model)
    } finally {
      this.#users -= 1
      if (this.#users === 0) this.#onUnused?.()
    }
  }

  unused(): Promise<void> {
    if (this.#users === 0) return Promise.resolve()
    return new Promise((resolve) => {
      this.#onUnused = resolve
    })
  }
}
