import { constants } from 'node:fs'
import { copyFile, mkdir, readdir, stat } from 'node:fs/promises'
import { basename, isAbsolute, join, relative, resolve } from 'node:path'
import pLimit from 'p-limit'
import { z } from 'zod'
import { linkOrCopy, readJsonFile, removeTree, tryToRemove, writeJsonFile } from '../../base/index.js'
import type { ModelEvent } from '../../executors/contract/index.js'
import { ASIDE } from '../../executors/training/index.js'
import { confusionMatrixSchema } from '../../loop/protocol/index.js'
import { NoModelError } from './errors.js'

const modelSetSchema = z.object({
  sequence: z.int().min(1),
  epoch: z.int().nullable(),
  confusionMatrix: confusionMatrixSchema,
  /** Format → file names inside the set's folder; none when only the figures of a model are known. */
  files: z.record(z.string(), z.array(z.string())),
  /** True once the Loop has acked the metrics of this set. */
  synced: z.boolean(),
})
export type ModelSet = z.infer<typeof modelSetSchema> & { readonly folder: string }

/**
 * The models a training program reported, set aside in `<models>/000001/…` before their metrics go out, so that the
 * program may overwrite its own files. What is uploaded is the last set with files whose metrics were acked. The folder
 * is read once: the work per model does not grow with the number of models that wait.
 */
export type ModelSets = {
  /**
   * Copies the event's files into a folder of their own; throws LF_NO_MODEL when one is missing. Sets that are not acked
   * keep their figures and lose their files: all points are sent before the upload, which then takes the newest files.
   */
  add(event: ModelEvent): Promise<ModelSet>
  markSynced(set: ModelSet): Promise<void>
  /** All sets in order. */
  list(): Promise<ModelSet[]>
  /** The last one with files whose metrics were acked. */
  lastSynced(): Promise<ModelSet | undefined>
  /** The folder was changed from outside, such as by a restored checkpoint: it is read again. */
  reload(): void
}

export function createModelSets(options: { readonly workspace: string; readonly folder: string }): ModelSets {
  const { workspace, folder } = options
  /** By sequence, in order. */
  let loaded: Promise<Map<number, ModelSet>> | undefined
  // Records are written one after the other; files are copied beside that.
  const inTurn = pLimit(1)

  function load(): Promise<Map<number, ModelSet>> {
    loaded ??= readSets(folder).catch((error: unknown) => {
      loaded = undefined
      throw error
    })
    return loaded
  }

  const list = async () => [...(await load()).values()]

  async function write(set: ModelSet): Promise<void> {
    const { folder: target, ...record } = set
    await writeJsonFile(join(target, 'set.json'), record)
    ;(await load()).set(set.sequence, set)
  }

  // First the record, then the files: a kill in between leaves files that nobody needs.
  async function forgetFiles(set: ModelSet): Promise<void> {
    await write({ ...set, files: {} })
    for (const name of namesOf(set)) await tryToRemove(join(set.folder, name))
  }

  async function forgetOlder(sets: Map<number, ModelSet>): Promise<void> {
    const last = lastSyncedOf([...sets.values()])?.sequence ?? 0
    for (const set of sets.values()) {
      if (set.sequence >= last) return
      sets.delete(set.sequence)
      await tryToRemove(set.folder) // else with the workspace
    }
  }

  return {
    async add(event) {
      const sequence = ([...(await load()).keys()].at(-1) ?? 0) + 1
      const target = join(folder, String(sequence).padStart(6, '0'))
      await removeTree(target) // a crash may have left half a set, which has no set.json
      await mkdir(target, { recursive: true })
      const files = await setAside(event.files, workspace, target)
      const { epoch, confusion_matrix: confusionMatrix } = event
      const set = { sequence, epoch: epoch ?? null, confusionMatrix, files, synced: false, folder: target }
      await inTurn(async () => {
        await write(set)
        if (!hasFiles(set)) return
        const older = (await list()).filter((one) => one.sequence < sequence && !one.synced && hasFiles(one))
        for (const one of older) await forgetFiles(one)
      })
      return set
    },
    markSynced: ({ sequence }) =>
      inTurn(async () => {
        const sets = await load()
        const set = sets.get(sequence) // as it is now: a newer one may have taken its files
        if (set === undefined) return
        await write({ ...set, synced: true })
        if (hasFiles(set)) await forgetOlder(sets)
      }),
    list,
    lastSynced: async () => lastSyncedOf(await list()),
    reload() {
      loaded = undefined
    },
  }
}

export function hasFiles({ files }: Pick<ModelSet, 'files'>): boolean {
  return Object.keys(files).length > 0
}

function lastSyncedOf(sets: readonly ModelSet[]): ModelSet | undefined {
  return sets.findLast((set) => set.synced && hasFiles(set))
}

async function readSets(folder: string): Promise<Map<number, ModelSet>> {
  const names = (await readdir(folder).catch(() => [])).filter((name) => /^\d{6}$/.test(name)).sort()
  const sets = new Map<number, ModelSet>()
  for (const name of names) {
    const set = await readJsonFile(join(folder, name, 'set.json'), modelSetSchema)
    if (set !== undefined) sets.set(set.sequence, { ...set, folder: join(folder, name) })
  }
  return sets
}

function namesOf({ files }: ModelSet): Set<string> {
  return new Set(Object.values(files).flat())
}

async function setAside(
  files: ModelEvent['files'],
  workspace: string,
  target: string,
): Promise<Record<string, string[]>> {
  const kept: Record<string, string[]> = {}
  const taken = new Map([['set.json', 'set.json of loopfleet']])
  for (const [format, paths] of Object.entries(files)) {
    kept[format] = []
    for (const path of paths) {
      const source = resolve(workspace, path)
      const other = taken.get(basename(path)) ?? path
      if (other !== path) throw new NoModelError(`Model files "${other}" and "${path}" need different names.`)
      taken.set(basename(path), path)
      if (isOutside(workspace, source)) throw new NoModelError(`Model file "${path}" lies outside of the workspace.`)
      if (!(await isFile(source))) throw new NoModelError(`Model file "${path}" was reported but does not exist.`)
      // What was set aside is ours, so that a second name is enough; a program may overwrite its own file in place.
      if (path.startsWith(`${ASIDE}/`)) await linkOrCopy(source, join(target, basename(path)))
      else await copyFile(source, join(target, basename(path)), constants.COPYFILE_FICLONE)
      kept[format].push(basename(path))
    }
  }
  return kept
}

function isOutside(folder: string, path: string): boolean {
  const way = relative(folder, path)
  return way.startsWith('..') || isAbsolute(way)
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  )
}
