import { join } from 'node:path'
import { z } from 'zod'
import {
  type BackOffOptions,
  type Closers,
  createService,
  messageOf,
  type OwnedService,
  type Service,
} from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import { lostThreadCount } from '../../inference/basics/index.js'
import type { VersionMode } from '../../loop/protocol/index.js'
import { BadModelError, DetectorUpdatingError, NoDetectorModelError } from './errors.js'
import { FailedTargets } from './failed-targets.js'
import { LoadAttempts } from './load-attempts.js'
import { type BuildPool, ModelBuilder } from './model-builder.js'
import type { ModelDownload } from './model-download.js'
import { type LoadedModel, ServedModel } from './served-model.js'
import { createModelStore, type ModelStore } from './store.js'
import { isSameModel, type ModelTarget, modelTargetSchema } from './target.js'
import { ModelUpdater } from './updater.js'
import { readVersionChoice, resolveVersionChoice, type VersionChoice, writeVersionChoice } from './version-choice.js'

const modelKeeperOptionsSchema = z.strictObject({
  folder: z.string().min(1).describe('The data folder; models lie in `models/{version}` below it.'),
  format: z.string().min(1).describe('Format of the models that the detector runs.'),
  owner: z
    .strictObject({ organization: z.string().min(1), project: z.string().min(1) })
    .optional()
    .describe('Project whose models are used; models of others on disk are left alone.'),
  keepVersions: z.int().min(1).default(3).describe('Versions that stay on disk, the served one among them.'),
  exclusiveBuild: z.boolean().default(false).describe('Frees the old model before the new one is built.'),
  initialMode: z.enum(['follow_loop', 'pause']).default('follow_loop').describe('Until a mode is chosen.'),
})
export type ModelKeeperOptions = z.input<typeof modelKeeperOptionsSchema>

export type ModelKeeperDeps = {
  readonly models: ModelDownload
  readonly buildPool: BuildPool
  readonly log: Logger
  /** Waits after a failed update, for tests that are in a hurry. */
  readonly waits?: { readonly retry?: BackOffOptions; readonly badModel?: BackOffOptions }
}

type VersionControl = {
  readonly mode: VersionMode
  readonly currentVersion: string | null
  readonly targetVersion: string | null
  readonly loopVersion: string | null
  readonly localVersions: string[]
}

type KeeperState = {
  readonly updating: string | null
  readonly errors: Record<string, string>
  /** Null while a model is loaded. */
  readonly whyNoModel: string | null
}

/** Keeps a good model serving: from disk at the start, then the one that the Loop or a person wants. */
export interface ModelKeeper extends Service {
  /** Holds the model while the work runs; throws LF_DETECTOR_NO_MODEL or LF_DETECTOR_UPDATING. */
  use<T>(work: (model: LoadedModel) => Promise<T>): Promise<T>
  loaded(): LoadedModel | null
  versionControl(): VersionControl
  /** `follow_loop`, `pause` or a version, which is looked up first; kept over restarts. Throws LF_DETECTOR_VERSION. */
  setVersionControl(text: string): Promise<void>
  /** What the Loop wants; null if it has no wish. */
  setTarget(target: ModelTarget | null): void
  /** While not allowed, a download that runs is finished, but no model is built or swapped. */
  setUpdatesAllowed(allowed: boolean): void
  state(): KeeperState
  /** Calls back after a swap, a failed update and every other change of state; returns a function that ends that. */
  onChange(callback: () => void): () => void
}

/** `start` resolves when the last good model is loaded from disk, or when there is none. */
export function createModelKeeper(options: ModelKeeperOptions, deps: ModelKeeperDeps): ModelKeeper {
  return new DiskModelKeeper(modelKeeperOptionsSchema.parse(options), deps)
}

class DiskModelKeeper implements ModelKeeper {
  readonly #options: z.output<typeof modelKeeperOptionsSchema>
  readonly #deps: ModelKeeperDeps
  readonly #log: Logger
  readonly #served: ServedModel
  readonly #store: ModelStore
  readonly #attempts: LoadAttempts
  readonly #builder: ModelBuilder
  readonly #failed: FailedTargets
  readonly #updater: ModelUpdater
  readonly #listeners = new Set<() => void>()
  readonly #service: OwnedService
  #isRunning = false
  #choice: VersionChoice
  #choosing: Promise<void> = Promise.resolve()
  #choiceProblem: string | undefined
  #loopTarget: ModelTarget | null = null
  #targetProblem: string | undefined
  #shownTarget: ModelTarget | null = null
  #isAllowed = true

  constructor(options: z.output<typeof modelKeeperOptionsSchema>, deps: ModelKeeperDeps) {
    this.#options = options
    this.#deps = deps
    this.#log = deps.log.child({ component: 'model-keeper' })
    this.#choice = { mode: options.initialMode }
    this.#served = new ServedModel({ log: this.#log })
    this.#attempts = new LoadAttempts(join(options.folder, 'models', '.loading.json'), { log: this.#log })
    this.#builder = new ModelBuilder({ buildPool: deps.buildPool, attempts: this.#attempts })
    this.#failed = new FailedTargets(deps.waits ?? {}, {
      onDue: () => this.#updater.steer(),
      lostThreads: lostThreadCount,
    })
    this.#store = createModelStore(options, {
      models: deps.models,
      inUse: () => this.#served.folders,
      log: this.#log,
    })
    this.#updater = new ModelUpdater(options, {
      store: this.#store,
      served: this.#served,
      builder: this.#builder,
      deathsOf: (target) => this.#attempts.deathsOf(target),
      failed: this.#failed,
      wanted: () => this.#wanted(),
      isAllowed: () => this.#isAllowed,
      onChange: () => this.#changed(),
      log: this.#log,
    })
    this.#service = createService('models', (signal, closers) => this.#open(signal, closers), { log: this.#log })
  }

  start(options: { readonly signal: AbortSignal }): Promise<void> {
    return this.#service.start(options)
  }

  stop(reason?: unknown): Promise<void> {
    return this.#service.stop(reason)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#service.stop()
  }

  async #open(signal: AbortSignal, closers: Closers): Promise<void> {
    closers.add('builder', () => this.#builder.stop())
    closers.add('version choice', () => this.#choosing)
    closers.add('failed targets', () => this.#failed.clear())
    // Immediately, since a model that is being loaded would hold up the end of this.
    signal.addEventListener('abort', () => this.#updater.stop(signal.reason), { once: true })
    await this.#store.open()
    await this.#readChoice()
    await this.#readDeaths()
    try {
      await this.#updater.loadFromDisk()
    } finally {
      closers.add('served models', () => this.#closeServed())
    }
    signal.throwIfAborted()
    const running = this.#updater.run()
    this.#isRunning = true
    closers.add('updater', () => running)
    this.#changed()
  }

  #closeServed(): Promise<void> {
    this.#served.swap(null)
    return this.#served.allClosed()
  }

  async use<T>(work: (model: LoadedModel) => Promise<T>): Promise<T> {
    const using = this.#served.use(work)
    if (using !== undefined) return await using
    const { freedFor } = this.#updater
    if (freedFor !== null) throw new DetectorUpdatingError(freedFor)
    throw new NoDetectorModelError(this.#whyNone())
  }

  loaded(): LoadedModel | null {
    return this.#served.model
  }

  versionControl(): VersionControl {
    return {
      mode: this.#choice.mode,
      currentVersion: this.#served.model?.version ?? null,
      targetVersion: this.#shownTarget?.version ?? null,
      loopVersion: this.#loopTarget?.version ?? null,
      localVersions: [...this.#store.versions()],
    }
  }

  setVersionControl(text: string): Promise<void> {
    const chosen = this.#choosing.then(() => this.#choose(text)) // the last one that was asked for wins
    this.#choosing = chosen.catch(() => undefined)
    return chosen
  }

  setTarget(target: ModelTarget | null): void {
    const checked = target === null || target.id === '' ? null : modelTargetSchema.safeParse(target)
    const problem =
      checked?.success === false ? `the Loop names a target that cannot be one: ${shown(target)}` : undefined
    const next = checked?.success === true ? checked.data : null
    if (isSameModel(next, this.#loopTarget) && problem === this.#targetProblem) return
    if (problem !== undefined) this.#log.warn({ problem }, 'target refused')
    this.#loopTarget = next
    this.#targetProblem = problem
    this.#steer()
  }

  setUpdatesAllowed(allowed: boolean): void {
    if (this.#isAllowed === allowed) return
    this.#isAllowed = allowed
    this.#steer()
  }

  state(): KeeperState {
    const refused = this.#choice.mode === 'follow_loop' ? this.#targetProblem : undefined
    return {
      updating: this.#updater.updatingTo,
      errors: {
        ...(refused !== undefined && { update_model: `Could not update model: ${refused}` }),
        ...this.#updater.problems,
        ...(this.#choiceProblem !== undefined && { version_control: this.#choiceProblem }),
        ...lostThreadsError(),
      },
      whyNoModel: this.#served.model === null ? this.#whyNone() : null,
    }
  }

  onChange(callback: () => void): () => void {
    const listener = () => callback()
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  #wanted(): ModelTarget | null {
    if (this.#choice.mode === 'pause') return null
    return this.#choice.mode === 'follow_loop' ? this.#loopTarget : this.#choice.target
  }

  async #choose(text: string): Promise<void> {
    const { models } = this.#deps
    const installed = async () => (await this.#store.list()).models
    const choice = await resolveVersionChoice(
      text,
      { models, format: this.#options.format, installed, log: this.#log },
      { signal: this.#service.signal },
    )
    await writeVersionChoice(this.#options.folder, choice)
    this.#choice = choice
    this.#choiceProblem = undefined
    const wanted = this.#wanted()
    if (wanted !== null) this.#failed.forget(wanted) // a person asks: it is tried immediately
    this.#log.info({ choice }, 'version control changed')
    this.#steer()
  }

  async #readChoice(): Promise<void> {
    try {
      this.#choice = (await readVersionChoice(this.#options.folder)) ?? this.#choice
    } catch (err) {
      // A person has pinned the version, so nothing is updated until a person chooses again.
      this.#log.warn({ err }, 'the chosen version is lost, updates are paused')
      this.#choice = { mode: 'pause' }
      this.#choiceProblem = `Updates are paused: ${messageOf(err)}`
    }
    this.#shownTarget = this.#wanted()
  }

  async #readDeaths(): Promise<void> {
    await this.#attempts.open()
    for (const { target, count } of this.#attempts.deaths) {
      const times = count === 1 ? 'once' : `${count} times in a row`
      this.#failed.add(target, new BadModelError(target, `the detector ended ${times} while it loaded it`), count)
    }
  }

  #steer(): void {
    if (this.#choice.mode !== 'pause') this.#shownTarget = this.#wanted()
    this.#updater.steer()
    this.#changed()
  }

  #changed(): void {
    for (const listener of this.#listeners) {
      try {
        listener()
      } catch (err) {
        this.#log.warn({ err }, 'a listener of the model keeper failed')
      }
    }
  }

  #whyNone(): string {
    if (this.#service.signal.aborted) return 'it is stopped'
    const { updatingTo, loading, problems } = this.#updater
    if (!this.#isRunning) return loading === null ? 'it is starting' : `it is loading ${loading}`
    const reasons = [problems.update_model, problems.load_model].filter((problem) => problem !== undefined)
    if (updatingTo !== null) reasons.unshift(`version ${updatingTo} is on its way`)
    if (reasons.length > 0) return reasons.map((reason) => reason.replace(/\.$/, '')).join('; ')
    const target = this.#wanted()
    return target === null ? 'no target is set' : `version ${target.version} is on its way`
  }
}

function lostThreadsError(): Readonly<Record<string, string>> {
  const count = lostThreadCount()
  if (count === 0) return {}
  const what = count === 1 ? 'A thread does' : `${count} threads do`
  const each = count === 1 ? 'It keeps a core' : 'Each keeps a core'
  return {
    lost_threads: `${what} not come back from a model. ${each} busy and its memory until the detector restarts.`,
  }
}

function shown(target: ModelTarget | null): string {
  const text = JSON.stringify(target)
  return text.length <= 200 ? text : `${text.slice(0, 197)}...`
}
