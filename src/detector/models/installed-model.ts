import { lstat, readdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { z } from 'zod'
import { messageOf, readJsonFile, safePathSegment } from '../../base/index.js'
import { readModelJson } from '../../loop/client/index.js'
import type { ModelJson } from '../../loop/protocol/index.js'
import { BadModelError } from './errors.js'
import { isVersionName, type ModelTarget, modelTargetSchema } from './target.js'

/** A model on disk that has all its files; whether it loads is seen when it is loaded. */
export type InstalledModel = ModelTarget & { readonly folder: string; readonly modelJson: ModelJson }

export type ModelReading =
  | { readonly ok: true; readonly model: InstalledModel }
  | { readonly ok: false; readonly isOurs: boolean; readonly problem: string }

/** Written into a model's folder before the folder gets its name: which model it is and what belongs to it. */
export const MARKER = '.loopfleet.json'
const MAX_ENTRIES = 100_000

/** Whose models a detector runs. */
export type ModelOwner = { readonly organization: string; readonly project: string }

const markerSchema = z.strictObject({
  ...modelTargetSchema.shape,
  organization: z.string().optional(),
  project: z.string().optional().describe('Where it was downloaded; its model.json may name another place.'),
  files: z.record(z.string(), z.int().min(0)).describe('Path below the folder to bytes.'),
})
type ModelMarker = z.infer<typeof markerSchema>

/** Reads a model's folder, ours or one of the Python library's, which have no marker. Trusts nothing in it. */
export async function readInstalledModel(
  folder: string,
  { format, owner }: { readonly format: string; readonly owner?: ModelOwner | undefined },
): Promise<ModelReading> {
  let isOurs = false
  try {
    const entries = await entriesOf(folder)
    isOurs = entries.has(MARKER)
    const marker = isOurs ? await readJsonFile(join(folder, MARKER), markerSchema) : undefined
    if (marker !== undefined) assertComplete(marker, entries)
    if (!entries.has('model.json')) return { ok: false, isOurs, problem: 'it has no model.json' }
    const modelJson = await readModelJson(folder)
    if (modelJson === undefined) return { ok: false, isOurs, problem: 'it has no model.json' }
    const target = marker ?? { id: modelJson.id, version: modelJson.version }
    assertIsModel(modelJson, target, format)
    const { organization = modelJson.organization, project = modelJson.project } = marker ?? {}
    if (owner !== undefined && !isSameOwner(owner, { organization, project })) {
      return { ok: false, isOurs: false, problem: `it is of the project ${shown(`${organization}/${project}`)}` }
    }
    if (!isVersionName(target.version)) return { ok: false, isOurs, problem: 'its version cannot be a name' }
    return { ok: true, model: { id: target.id, version: target.version, folder, modelJson } }
  } catch (error) {
    return { ok: false, isOurs, problem: messageOf(error) }
  }
}

function isSameOwner(one: ModelOwner, other: ModelOwner): boolean {
  const nameOf = ({ organization, project }: ModelOwner) => `${organization}/${project}`.toLowerCase()
  return nameOf(one) === nameOf(other)
}

/** Throws LF_DETECTOR_BAD_MODEL when the model.json is of another model or format. */
export function assertIsModel(modelJson: ModelJson, target: ModelTarget, format: string): void {
  if (modelJson.id.toLowerCase() !== target.id.toLowerCase()) {
    throw new BadModelError(target, `its model.json names the id ${shown(modelJson.id)} instead of ${target.id}`)
  }
  if (modelJson.version !== target.version) {
    throw new BadModelError(target, `its model.json names version ${shown(modelJson.version)}`)
  }
  if (modelJson.format !== null && modelJson.format !== format) {
    throw new BadModelError(target, `its format is ${shown(modelJson.format)} instead of ${format}`)
  }
}

/** Every file below the folder with its bytes; throws on a link, a special file, or too many entries. */
export async function entriesOf(folder: string): Promise<Map<string, number>> {
  if (!(await lstat(folder)).isDirectory()) throw new BadModelError(basename(folder), 'it is no folder')
  const files = new Map<string, number>()
  const waiting = ['']
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    for (const entry of await readdir(join(folder, path), { withFileTypes: true })) {
      const below = join(path, safePathSegment(entry.name))
      if (files.size + waiting.length > MAX_ENTRIES) throw new BadModelError(basename(folder), 'it has too many files')
      if (entry.isDirectory()) waiting.push(below)
      else files.set(below, await bytesOf(join(folder, below)))
    }
  }
  return files
}

async function bytesOf(path: string): Promise<number> {
  const found = await lstat(path)
  // A link may lead out of the folder, and a pipe would be read indefinitely.
  if (!found.isFile()) throw new BadModelError(basename(path), 'it is a link or a special file')
  return found.size
}

function assertComplete(marker: ModelMarker, entries: ReadonlyMap<string, number>): void {
  for (const [path, bytes] of Object.entries(marker.files)) {
    const found = entries.get(path)
    if (found === bytes) continue
    const how = found === undefined ? 'is missing' : `has ${found} of ${bytes} bytes`
    throw new BadModelError(marker, `its file ${shown(path)} ${how}`)
  }
}

function shown(text: string): string {
  return JSON.stringify(text.length <= 100 ? text : `${text.slice(0, 97)}...`)
}
