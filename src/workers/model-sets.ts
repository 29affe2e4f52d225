import { constants } from 'node:fs'
import { copyFile, mkdir, readdir, stat } from 'node:fs/promises'
import { basename, isAbsolute, join, relative, resolve } from 'node:path'
import { z } from 'zod'
import { linkOrCopy, readJsonFile, removeTree, writeJsonFile } from '../base/files.js'
import { removeWhatGoes } from '../base/remove-what-goes.js'
import type { ModelEvent } from '../executors/events.js'
import { ASIDE } from '../executors/whole-files/aside-folders.js'
import { confusionMatrixSchema } from '../loop/protocol/index.js'
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
 * program may overwrite its own files. What is uploaded is the last set with files whose metrics were acked.
 */
export type ModelSets = {
  /** Copies the event's files into a folder of their own; throws LF_NO_MODEL when one is missing. */
  add(event: ModelEvent): Promise<ModelSet>
  markSynced(set: ModelSet): Promise<void>
  /** All sets on disk in order. */
  list(): Promise<ModelSet[]>
  /** The last one with files whose metrics were acked. */
  lastSynced(): Promise<ModelSet | undefined>
}

export function createModelSets(options: { readonly workspace: string; readonly folder: string }): ModelSets {
  const { workspace, folder } = options

  async function list(): Promise<ModelSet[]> {
    const names = (await readdir(folder).catch(() => [])).filter((name) => /^\d{6}$/.test(name)).sort()
    const sets = await Promise.all(names.map((name) => readSet(join(folder, name))))
    return sets.filter((set) => set !== undefined)
  }

  return {
    async add(event) {
      const sequence = ((await list()).at(-1)?.sequence ?? 0) + 1
      const target = join(folder, String(sequence).padStart(6, '0'))
      await removeTree(target) // a crash may have left half a set, which has no set.json
      await mkdir(target, { recursive: true })
      const files = await setAside(event.files, workspace, target)
      const { epoch, confusion_matrix: confusionMatrix } = event
      const set = { sequence, epoch: epoch ?? null, confusionMatrix, files, synced: false }
      await writeJsonFile(join(target, 'set.json'), set)
      return { ...set, folder: target }
    },
    async markSynced(set) {
      const { folder: target, ...record } = set
      await writeJsonFile(join(target, 'set.json'), { ...record, synced: true })
      const all = await list()
      await forgetOlder(all, lastSyncedOf(all)?.sequence ?? 0)
    },
    list,
    lastSynced: async () => lastSyncedOf(await list()),
  }
}

export function hasFiles({ files }: Pick<ModelSet, 'files'>): boolean {
  return Object.keys(files).length > 0
}

function lastSyncedOf(sets: readonly ModelSet[]): ModelSet | undefined {
  return sets.findLast((set) => set.synced && hasFiles(set))
}

async function readSet(folder: string): Promise<ModelSet | undefined> {
  const set = await readJsonFile(join(folder, 'set.json'), modelSetSchema)
  return set === undefined ? undefined : { ...set, folder }
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

async function forgetOlder(sets: ModelSet[], sequence: number): Promise<void> {
  for (const set of sets) if (set.sequence < sequence) await removeWhatGoes(set.folder) // else with the workspace
}
