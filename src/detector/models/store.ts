import { mkdir, mkdtemp, open, readdir, rename } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { z } from 'zod'
import { hasCode, readJsonFile, removeTree, syncFolder, writeJsonFile } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import { readCurrentLink, sweepLinks, switchCurrentLink } from './current-link.js'
import { BadModelError } from './errors.js'
import {
  assertIsModel,
  entriesOf,
  type InstalledModel,
  MARKER,
  type ModelOwner,
  readInstalledModel,
} from './installed-model.js'
import type { ModelDownload } from './model-download.js'
import { compareVersions, isSameModel, type ModelTarget } from './target.js'

export type ModelStoreOptions = {
  /** The data folder; models lie in `models/{version}` below it. */
  readonly folder: string
  readonly format: string
  /** Versions that stay on disk, the served one among them. */
  readonly keepVersions: number
  /** Models of others that lie here are not used; undefined takes all. */
  readonly owner?: ModelOwner | undefined
}

export type ModelStoreDeps = {
  readonly models: ModelDownload
  /** Folders whose models are loaded: a thread that is replaced reads its model again. */
  readonly inUse: () => ReadonlySet<string>
  readonly log: Logger
}

export type BrokenModel = {
  readonly folder: string
  readonly problem: string
  /** It was installed whole once, so it can go when there is no more use for it. */
  readonly isOurs: boolean
  /** The data folder's link leads to it. */
  readonly isCurrent: boolean
}

type StoredModels = {
  /** The one that was served last comes first; those that never were come last. */
  readonly models: readonly InstalledModel[]
  readonly broken: readonly BrokenModel[]
}

/** The models on disk: at any moment, also after a kill, what has a name there is whole. */
export type ModelStore = {
  /** Makes the folders and removes what was half-way when the process before ended. */
  open(): Promise<void>
  list(): Promise<StoredModels>
  /** Versions on disk as they were when somebody looked last. */
  versions(): readonly string[]
  find(target: ModelTarget): Promise<InstalledModel | undefined>
  /** Downloads and checks; throws LF_DETECTOR_BAD_MODEL and what the download throws, and nothing has changed then. */
  install(target: ModelTarget, options: { readonly signal: AbortSignal }): Promise<InstalledModel>
  /** Notes that this model is served from now on. */
  markServed(model: InstalledModel): Promise<void>
  wasServed(model: InstalledModel): Promise<boolean>
  remove(model: InstalledModel): Promise<void>
  /** Removes the models that were not served for longest. */
  prune(wanted: ModelTarget | null): Promise<void>
}

const INCOMING = '.incoming-'
const OUTGOING = '.outgoing-'
const SERVED = '.served.json'
const servedSchema = z.array(z.string())

export function createModelStore(options: ModelStoreOptions, deps: ModelStoreDeps): ModelStore {
  const { format, keepVersions, owner } = options
  const dataFolder = resolve(options.folder)
  const models = join(dataFolder, 'models')
  const { log } = deps
  let versions: readonly string[] = []

  async function list(): Promise<StoredModels> {
    const order = await servedOrder()
    const found: InstalledModel[] = []
    const broken: BrokenModel[] = []
    for (const name of await folderNames()) {
      const reading = await readInstalledModel(join(models, name), { format, owner })
      if (reading.ok) found.push(reading.model)
      else {
        const { problem, isOurs } = reading
        broken.push({ folder: join(models, name), problem, isOurs, isCurrent: name === order[0] })
      }
    }
    versions = [...new Set(found.map(({ version }) => version))].sort(compareVersions)
    const rank = ({ folder }: InstalledModel) => {
      const place = order.findIndex((name) => join(models, name) === folder)
      return place === -1 ? order.length : place
    }
    return { models: found.sort((one, other) => rank(one) - rank(other)), broken }
  }

  async function folderNames(): Promise<string[]> {
    const entries = await readdir(models, { withFileTypes: true }).catch((error: unknown) => {
      if (hasCode(error, 'ENOENT')) return []
      throw error
    })
    return entries.filter((entry) => !entry.name.startsWith('.') && !entry.isFile()).map((entry) => entry.name)
  }

  /** Names of folders, the one served last first. The link is what counts; the rest is a help. */
  async function servedOrder(): Promise<string[]> {
    const current = await readCurrentLink(dataFolder, models)
    const rest = await readJsonFile(join(models, SERVED), servedSchema).catch((err: unknown) => {
      log.warn({ err }, 'the order of the served models is lost')
      return []
    })
    return [...new Set([...(current === undefined ? [] : [current]), ...(rest ?? [])])]
  }

  /** Takes the name away in one step, so that a kill leaves no half of a model under it. */
  async function discard(folder: string): Promise<void> {
    const aside = await mkdtemp(join(models, OUTGOING))
    try {
      await rename(folder, join(aside, 'model'))
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error
    } finally {
      await removeTree(aside)
    }
  }

  /** The version, or the version with a number where a model that is in use has that name. */
  async function freeFolder(version: string): Promise<string> {
    const taken = new Set(await folderNames())
    const current = await readCurrentLink(dataFolder, models)
    const isInUse = (name: string) => deps.inUse().has(join(models, name)) || name === current
    for (let number = 1; ; number += 1) {
      const name = number === 1 ? version : `${version}+${number}`
      if (!taken.has(name)) return join(models, name)
      if (isInUse(name)) continue
      await discard(join(models, name))
      return join(models, name)
    }
  }

  return {
    async open() {
      await mkdir(models, { recursive: true })
      await sweepLinks(dataFolder)
      const names = await readdir(models)
      const halves = names.filter((name) => name.startsWith(INCOMING) || name.startsWith(OUTGOING))
      for (const name of halves) await removeTree(join(models, name))
      if (halves.length > 0) log.info({ count: halves.length }, 'half installed models removed')
    },
    list,
    versions: () => versions,
    async find(target) {
      return (await list()).models.find((model) => isSameModel(model, target))
    },
    async install(target, { signal }) {
      const incoming = await mkdtemp(join(models, INCOMING))
      try {
        const folder = join(incoming, 'model')
        const { modelJson } = await deps.models.download({ modelId: target.id, folder, signal })
        if (modelJson === undefined) throw new BadModelError(target, 'it has no model.json')
        assertIsModel(modelJson, target, format)
        await seal(folder, target, owner)
        signal.throwIfAborted()
        const place = await freeFolder(target.version)
        await rename(folder, place)
        await syncFolder(models)
        await list()
        return { id: target.id, version: target.version, folder: place, modelJson }
      } finally {
        await removeTree(incoming)
      }
    },
    async markServed({ folder }) {
      await switchCurrentLink(dataFolder, folder)
      const names = await servedOrder()
      await writeJsonFile(join(models, SERVED), names.slice(0, 100))
    },
    async wasServed({ folder }) {
      return (await servedOrder()).some((name) => join(models, name) === folder)
    },
    async remove({ folder }) {
      await discard(folder)
      await list()
    },
    async prune(wanted) {
      const { models: all, broken } = await list()
      const inUse = deps.inUse()
      const isKept = (model: InstalledModel, place: number) =>
        place < keepVersions || inUse.has(model.folder) || isSameModel(model, wanted)
      for (const model of all.filter((one, place) => !isKept(one, place))) {
        await discard(model.folder)
        log.info({ version: model.version }, 'old model removed')
      }
      for (const { folder } of broken.filter((one) => one.isOurs && !inUse.has(one.folder))) await discard(folder)
      await list()
    },
  }
}

/** Puts everything on disk, with a marker that says what belongs to the model. */
async function seal(folder: string, { id, version }: ModelTarget, owner: ModelOwner | undefined): Promise<void> {
  const files = Object.fromEntries(await entriesOf(folder))
  delete files[MARKER] // a zip may hold one, which is overwritten below
  const folders = new Set([folder])
  for (const path of Object.keys(files)) {
    const file = await open(join(folder, path), 'r')
    try {
      await file.sync()
    } finally {
      await file.close()
    }
    folders.add(dirname(join(folder, path)))
  }
  for (const one of folders) await syncFolder(one)
  await writeJsonFile(join(folder, MARKER), { id, version, ...owner, files })
}
