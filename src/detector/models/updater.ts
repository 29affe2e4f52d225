import { messageOf } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import { unlessAborted } from '../../loop/client/index.js'
import { BadModelError, UpdateSupersededError } from './errors.js'
import type { FailedTargets } from './failed-targets.js'
import type { InstalledModel } from './installed-model.js'
import type { ModelBuilder } from './model-builder.js'
import type { LoadedModel, ServedModel } from './served-model.js'
import type { BrokenModel, ModelStore } from './store.js'
import { isSameModel, type ModelTarget } from './target.js'

export type ModelUpdaterDeps = {
  readonly store: ModelStore
  readonly served: ServedModel
  readonly builder: ModelBuilder
  readonly failed: FailedTargets
  /** How often the process ended while it loaded this model. */
  readonly deathsOf: (target: ModelTarget) => number
  /** The model to serve; null leaves everything as it is. */
  readonly wanted: () => ModelTarget | null
  readonly isAllowed: () => boolean
  readonly onChange: () => void
  readonly log: Logger
}

type Update = { readonly target: ModelTarget; readonly ending: AbortController }

/** A kill during a load may be chance, two in a row are not: other models are tried first. */
const MANY_DEATHS = 2
const MOST_NAMED = 5

/** Brings the served model to the wanted one, one update after the other. */
export class ModelUpdater {
  readonly #exclusive: boolean
  readonly #deps: ModelUpdaterDeps
  readonly #changes = new Notifier()
  readonly #stopped = new AbortController()
  /** Folders that did not load: what is in them is fetched again before they are tried again. */
  readonly #suspectedFolders = new Set<string>()
  #update: Update | null = null
  #loading: string | null = null
  #freedFor: string | null = null
  #loadProblem: string | undefined
  #linkProblem: string | undefined

  constructor(options: { readonly exclusiveBuild: boolean }, deps: ModelUpdaterDeps) {
    this.#exclusive = options.exclusiveBuild
    this.#deps = deps
  }

  get updatingTo(): string | null {
    return this.#update?.target.version ?? null
  }

  /** What is being loaded now. */
  get loading(): string | null {
    return this.#loading
  }

  /** The version for which the old model was freed, while nothing is served. */
  get freedFor(): string | null {
    return this.#freedFor
  }

  get problems(): Readonly<Record<string, string>> {
    const { failed, wanted, served } = this.#deps
    const target = wanted()
    const update = target === null ? undefined : failed.messageFor(target)
    const warnings = served.model?.pool.warnings ?? []
    return {
      ...(update !== undefined && { update_model: `Could not update model: ${update}` }),
      ...(this.#loadProblem !== undefined && { load_model: this.#loadProblem }),
      ...(warnings.length > 0 && { model: warnings.join(' ') }),
      ...(this.#linkProblem !== undefined && { current_model: this.#linkProblem }),
    }
  }

  /** Looks again at what is wanted, and gives up an update to something else. */
  steer(): void {
    const update = this.#update
    if (update !== null && !isSameModel(this.#deps.wanted(), update.target)) {
      update.ending.abort(new UpdateSupersededError(update.target.version))
    }
    this.#changes.notify()
  }

  /** Serves the model that was served last; if that one cannot be loaded, the one before it, and so on. */
  async loadFromDisk(): Promise<void> {
    const { store, served, deathsOf, log } = this.#deps
    const { models, broken } = await store.list()
    const problems = broken
      .filter((one) => one.isOurs || one.isCurrent)
      .map(({ folder, problem }) => `${folder}: ${problem}`)
    for (const { folder, problem } of broken) log.warn({ folder, problem }, 'a model on disk cannot be used')
    const isSuspect = (model: InstalledModel) =>
      this.#suspectedFolders.has(model.folder) || deathsOf(model) >= MANY_DEATHS
    for (const model of [...models.filter((one) => !isSuspect(one)), ...models.filter(isSuspect)]) {
      try {
        const loaded = await this.#load(model)
        served.swap(loaded)
        const deadly = models.slice(0, models.indexOf(model)).filter((one) => deathsOf(one) >= MANY_DEATHS)
        problems.push(...deadly.map(({ folder }) => `${folder}: the detector ended while it loaded it`))
        await this.#noteServed(model)
        this.#loadProblem = loadSentence(problems, model.version)
        log.info({ version: model.version, folder: model.folder }, 'model loaded from disk')
        return
      } catch (error) {
        this.#stopped.signal.throwIfAborted()
        log.warn({ err: error, folder: model.folder }, 'a model on disk cannot be loaded')
        this.#suspectedFolders.add(model.folder)
        problems.push(`${model.folder}: ${messageOf(error)}`)
      }
    }
    this.#loadProblem = loadSentence(broken.length === 0 ? problems : withOthers(problems, broken), undefined)
    log.warn({ reason: this.#loadProblem ?? 'there is no model on disk' }, 'no model is loaded')
  }

  /** Updates until `stop`; never rejects. */
  async run(): Promise<void> {
    while (!this.#stopped.signal.aborted) {
      const target = this.#due()
      if (target === undefined) await this.#changes.notified()
      else await this.#updateTo(target)
    }
  }

  stop(reason: unknown): void {
    this.#stopped.abort(reason)
    this.#update?.ending.abort(reason)
    this.#changes.notify()
  }

  #due(): ModelTarget | undefined {
    const { wanted, isAllowed, failed, served } = this.#deps
    const target = wanted()
    if (target === null || !isAllowed() || isSameModel(served.model, target)) return undefined
    return failed.isKeptAway(target) ? undefined : target
  }

  async #updateTo(target: ModelTarget): Promise<void> {
    const { failed, log, onChange } = this.#deps
    const update = { target, ending: new AbortController() }
    this.#update = update
    onChange()
    try {
      const { model, isFresh } = await this.#prepare(update)
      await this.#replace(model, isFresh, update)
    } catch (error) {
      if (update.ending.signal.aborted) {
        log.info({ version: target.version, reason: messageOf(update.ending.signal.reason) }, 'model update cancelled')
      } else {
        const waitMs = failed.add(target, error)
        log.warn({ err: error, version: target.version, waitMs }, 'model update failed')
      }
    } finally {
      this.#update = null
      onChange()
    }
  }

  async #prepare({ target, ending }: Update): Promise<{ readonly model: InstalledModel; readonly isFresh: boolean }> {
    const { store } = this.#deps
    const here = await store.find(target)
    if (here !== undefined && !this.#suspectedFolders.has(here.folder)) return { model: here, isFresh: false }
    const model = await store.install(target, { signal: ending.signal })
    this.#suspectedFolders.delete(model.folder)
    return { model, isFresh: true }
  }

  async #replace(model: InstalledModel, isFresh: boolean, update: Update): Promise<void> {
    const { served } = this.#deps
    if (!this.#isWanted(update)) return
    if (this.#exclusive) this.#free(model)
    try {
      // At most two models are in memory: the one before the last may still have requests to finish.
      await unlessAborted(served.allClosed(), update.ending.signal)
      const loaded = await this.#build(model, isFresh)
      if (!this.#exclusive && !this.#isWanted(update)) return await loaded.pool.close()
      await this.#serve(loaded, model)
    } catch (error) {
      if (this.#exclusive && served.model === null && !this.#stopped.signal.aborted) await this.loadFromDisk()
      throw error
    } finally {
      this.#freedFor = null
    }
  }

  #free(model: InstalledModel): void {
    this.#freedFor = model.version
    this.#deps.served.swap(null)
    this.#deps.onChange()
  }

  async #build(model: InstalledModel, isFresh: boolean): Promise<LoadedModel> {
    const { store } = this.#deps
    try {
      return await this.#load(model)
    } catch (error) {
      // What was served before may be whole and the machine in trouble, so only what just came is thrown away.
      if (isFresh && !this.#stopped.signal.aborted) await store.remove(model)
      else this.#suspectedFolders.add(model.folder)
      this.#stopped.signal.throwIfAborted()
      throw new BadModelError(model, `it cannot be loaded: ${messageOf(error)}`, error)
    }
  }

  async #load(model: InstalledModel): Promise<LoadedModel> {
    const { builder, store, log } = this.#deps
    const wasServed = await store.wasServed(model)
    this.#loading = `version ${model.version}`
    log.info({ version: model.version, folder: model.folder }, 'loading a model')
    const building = builder.build(model, { signal: this.#stopped.signal, wasServed })
    const loaded = await building.finally(() => {
      this.#loading = null
    })
    for (const warning of loaded.pool.warnings ?? []) log.warn({ version: model.version }, warning)
    return loaded
  }

  async #serve(loaded: LoadedModel, model: InstalledModel): Promise<void> {
    const { served, failed, store, wanted, onChange, log } = this.#deps
    const before = served.model?.version ?? null
    served.swap(loaded)
    failed.forget(loaded)
    this.#loadProblem = undefined
    onChange()
    await this.#noteServed(model)
    log.info({ version: loaded.version, before }, 'model swapped')
    await store.prune(wanted()).catch((err: unknown) => log.warn({ err }, 'old models could not be removed'))
  }

  /** The model serves all the same when this fails; only the next start would take another one. */
  async #noteServed(model: InstalledModel): Promise<void> {
    try {
      await this.#deps.store.markServed(model)
      this.#linkProblem = undefined
    } catch (err) {
      this.#deps.log.warn({ err, folder: model.folder }, 'the link current_model could not be switched')
      this.#linkProblem = `The link current_model could not be switched: ${messageOf(err)}`
    }
  }

  #isWanted({ target, ending }: Update): boolean {
    const { wanted, isAllowed } = this.#deps
    return !ending.signal.aborted && isAllowed() && isSameModel(wanted(), target)
  }
}

/** Where nothing serves, models of others are named too: one of them may be what a person expects to serve. */
function withOthers(problems: readonly string[], broken: readonly BrokenModel[]): string[] {
  return [...new Set([...problems, ...broken.map(({ folder, problem }) => `${folder}: ${problem}`)])].slice(
    0,
    MOST_NAMED,
  )
}

function loadSentence(problems: readonly string[], served: string | undefined): string | undefined {
  if (problems.length === 0) return undefined
  const end = served === undefined ? 'there is no other' : `version ${served} serves instead`
  return `A model on disk cannot be loaded (${problems.join('; ')}); ${end}.`
}

/** Wakes a caller that waits; a notification before the wait is kept. */
class Notifier {
  #isNotified = false
  #wake: (() => void) | undefined

  notify(): void {
    this.#isNotified = true
    this.#wake?.()
  }

  /** Resolves after the next notification, or immediately if there was one since the last call. */
  async notified(): Promise<void> {
    while (!this.#isNotified) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    this.#isNotified = false
  }
}
