import { constants } from 'node:fs'
import { copyFile, type FileHandle, mkdir, open, rename } from 'node:fs/promises'
import { dirname, isAbsolute, join, relative } from 'node:path'
import { hasCode, removeTree } from '../../../base/index.js'
import type { FileIdentity } from '../../../process/figures/index.js'
import type { NeededFile } from './onnx.js'
import { createRestWatch, type Look, markOf } from './rest-watch.js'
import { examineStructure, type Structure } from './structure.js'

/** A file of the program, and the name it is to have among those set aside. */
export type Source = { readonly path: string; readonly name: string; readonly isBeside?: boolean }

/** Replaces the time without changes, for files whose content does not show whether it is complete. */
export type Trust =
  /** Nothing: the file must have rested. */
  | 'rest'
  /** The program has ended by itself and well, so that all its files are written. */
  | 'program-ended-well'
  /** Somebody has said that they are whole, and they have not changed after that (milliseconds since 1970). */
  | { readonly unchangedSinceMs: number }

type Verdict =
  | { readonly state: 'whole'; readonly names: readonly string[] }
  /** `later`: it may become whole by waiting alone. `cut`: something is missing in it. `missing`: it is not there. */
  | { readonly state: 'later' | 'cut' | 'missing'; readonly problem: string }

export type SetAsideOptions = {
  /** Absolute; nothing outside of it is copied. */
  readonly workspace: string
  readonly restMs?: number
  /** Whether a process of the training has one of these open for writing. */
  readonly hasWriter: (files: readonly FileIdentity[]) => Promise<boolean>
}

/**
 * The one place that decides whether files of a program are whole, and copies them if so: zip and safetensors by their
 * own directory, all else when it has not changed for two seconds and nobody has it open for writing. What an ONNX
 * model or an index of weights refers to belongs to it. What is copied is examined again, as a copy.
 */
export type SetAside = {
  /** Copies the sources and what they refer to into the folder, which is there only when they are whole. */
  take(sources: readonly Source[], folder: string, trust?: Trust): Promise<Verdict>
  look(path: string): Promise<Look | undefined>
  /** Keeps the last state of this file that has rested, for a moment in which it is being written again. */
  keepRested(source: Source): Promise<void>
  freeze(): void
}

export const REST_MS = 2000
const BESIDE = '.set-aside/beside'

/** Open, so that it can be copied when another file has its name by now: a program may rename a new one over it. */
type Examined = {
  readonly source: Source
  readonly handle: FileHandle
  readonly look: Look
  readonly structure: Structure
}
type Failed = Exclude<Verdict, { state: 'whole' }>

export function createSetAside(options: SetAsideOptions): SetAside {
  const { workspace, restMs = REST_MS, hasWriter } = options
  const watch = createRestWatch()
  const keptMarks = new Map<string, string>()
  // A file that was open when it was last looked at may lack what its program had not written yet.
  const heldOpen = new Map<string, string>()

  async function take(sources: readonly Source[], folder: string, trust: Trust = 'rest'): Promise<Verdict> {
    const handles: FileHandle[] = []
    try {
      return await takeOpen(sources, folder, trust, handles)
    } finally {
      await Promise.all(handles.map((handle) => handle.close()))
    }
  }

  async function takeOpen(
    sources: readonly Source[],
    folder: string,
    trust: Trust,
    handles: FileHandle[],
  ): Promise<Verdict> {
    const found = await examineAll(sources, handles)
    if ('state' in found) return found
    const model = found.find(({ source }) => source.isBeside !== true)
    const restless = found.filter((file) => !isStill(file, trust) && !isOlderThan(file, model))
    const chosen = await Promise.all(found.map((file) => (restless.includes(file) ? standIn(file, handles) : file)))
    const moving = chosen.find((file) => 'state' in file)
    if (moving !== undefined && 'state' in moving) return moving
    const whole = chosen.filter((file) => 'look' in file)
    const written = await findWritten(whole, trust)
    if (written !== undefined) return written
    return await copyAll(whole, folder)
  }

  /** With what they refer to, which is examined as well. */
  async function examineAll(sources: readonly Source[], handles: FileHandle[]): Promise<Examined[] | Failed> {
    const examined: Examined[] = []
    const queue = [...sources]
    for (const source of queue) {
      const found = await examineOne(source, handles)
      if ('state' in found) return found
      examined.push(found)
      if (found.structure.state === 'cut') continue
      for (const need of found.structure.needs) {
        const problem = await addNeed(need, source, queue)
        if (problem !== undefined) return { state: 'cut', problem }
      }
    }
    return examined
  }

  async function examineOne(source: Source, handles: FileHandle[]): Promise<Examined | Failed> {
    const name = nameOf(source)
    const handle = await openIfThere(source.path)
    if (handle === undefined) return { state: 'missing', problem: `${name} does not exist` }
    handles.push(handle)
    const look = await watch.look(source.path, handle)
    if (look?.isFile !== true) return { state: 'cut', problem: `${name} is no plain file` }
    // By the name it has now: the one it gets may have another ending.
    const structure = await examineStructure(handle, { name: source.path, size: look.size })
    if (structure.state === 'cut') return { state: 'cut', problem: `${name} is not whole: ${structure.problem}` }
    return { source, handle, look, structure }
  }

  async function addNeed(need: NeededFile, by: Source, queue: Source[]): Promise<string | undefined> {
    if (need.name.includes('/') || need.name === '' || need.name === '..') {
      return `${nameOf(by)} refers to "${need.name}", which must lie beside it`
    }
    const path = join(dirname(by.path), need.name)
    const look = await watch.look(path)
    const has = look === undefined ? 'which is not there' : `which has ${look.size} of ${need.bytes} bytes`
    if (look === undefined || look.size < need.bytes) return `${nameOf(by)} refers to "${need.name}", ${has}`
    if (!queue.some(({ name }) => name === need.name)) queue.push({ path, name: need.name })
    return undefined
  }

  function isStill({ structure, look }: Examined, trust: Trust): boolean {
    if (structure.state === 'whole' || trust === 'program-ended-well') return true
    if (typeof trust === 'object' && look.mtimeMs <= trust.unchangedSinceMs) return true
    return watch.hasRested(look, restMs) && !(watch.isFrozen && heldOpen.get(look.path) === look.mark)
  }

  // What lies beside the model and was written before it is finished, as a script does one thing after the other.
  function isOlderThan({ source, look }: Examined, model: Examined | undefined): boolean {
    return source.isBeside === true && model !== undefined && look.mtimeMs <= model.look.mtimeMs
  }

  /** A log or table beside the model is written all the time: its last state at rest does as well. */
  async function standIn(file: Examined, handles: FileHandle[]): Promise<Examined | Failed> {
    const { source } = file
    const kept = source.isBeside ? await openIfThere(besidePath(source)) : undefined
    if (kept === undefined)
      return { state: 'later', problem: `${nameOf(source)} was changed less than ${restMs / 1000} s ago` }
    handles.push(kept)
    const look = await watch.look(besidePath(source), kept)
    return look === undefined
      ? { state: 'later', problem: `${nameOf(source)} is gone` }
      : { ...file, handle: kept, look }
  }

  async function findWritten(files: readonly Examined[], trust: Trust): Promise<Failed | undefined> {
    if (trust === 'program-ended-well' || !(await hasWriter(files.map(({ look }) => look)))) return undefined
    // A directory that is there was written last, so that a file with one is as good once it has rested.
    const open = files.filter(({ structure, look }) => structure.state !== 'whole' || !watch.hasRested(look, restMs))
    for (const { look, source } of open) {
      if (!(await hasWriter([look]))) continue
      heldOpen.set(look.path, look.mark)
      return { state: 'later', problem: `${nameOf(source)} is open for writing` }
    }
    return undefined
  }

  async function copyAll(files: readonly Examined[], folder: string): Promise<Verdict> {
    const partial = `${folder}.partial`
    await removeTree(partial)
    await mkdir(partial, { recursive: true })
    try {
      for (const file of files) {
        const problem = await copyOne(file, partial)
        if (problem !== undefined) return { state: 'later', problem }
      }
      await removeTree(folder)
      await rename(partial, folder)
      return { state: 'whole', names: files.map(({ source }) => source.name) }
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return { state: 'missing', problem: 'a file was deleted while it was copied' }
      throw error
    } finally {
      await removeTree(partial)
    }
  }

  async function copyOne({ source, look, handle }: Examined, folder: string): Promise<string | undefined> {
    const copy = join(folder, source.name)
    // No hard link: a program may overwrite its model in place. Where the disk can, the copy shares its blocks.
    await copyFile(`/proc/self/fd/${handle.fd}`, copy, constants.COPYFILE_FICLONE)
    const after = await handle.stat({ bigint: true })
    if (markOf(after) !== look.mark) return `${nameOf(source)} was written while it was copied`
    const structure = await examineCopy(copy, { name: source.path, size: look.size })
    return structure.state === 'cut' ? `${nameOf(source)} is not whole: ${structure.problem}` : undefined
  }

  function nameOf({ path, name }: Source): string {
    const inside = relative(workspace, path)
    return inside.startsWith('..') || isAbsolute(inside) ? name : inside
  }

  function besidePath({ name }: Source): string {
    return join(workspace, BESIDE, name)
  }

  return {
    take,
    look: (path) => watch.look(path),
    async keepRested(source) {
      const look = await watch.look(source.path)
      if (look === undefined || !look.isFile || keptMarks.get(source.path) === look.mark) return
      if (!watch.hasRested(look, restMs) || (await hasWriter([look]))) return
      keptMarks.set(source.path, look.mark)
      const path = besidePath(source)
      await mkdir(dirname(path), { recursive: true })
      const copied = await copyFile(source.path, `${path}.partial`, constants.COPYFILE_FICLONE).then(
        () => true,
        () => false, // deleted meanwhile: the state before is as good
      )
      if (copied && (await watch.look(source.path))?.mark === look.mark) await rename(`${path}.partial`, path)
    },
    freeze: () => watch.freeze(),
  }
}

async function examineCopy(path: string, what: { readonly name: string; readonly size: number }): Promise<Structure> {
  const handle = await open(path, 'r')
  try {
    return await examineStructure(handle, { ...what, content: true })
  } finally {
    await handle.close()
  }
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, constants.O_RDONLY | constants.O_NONBLOCK) // a named pipe would be waited for
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO')) return undefined
    throw error
  }
}
