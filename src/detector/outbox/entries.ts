import { constants, type Dirent } from 'node:fs'
import { access, lstat, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { hasCode, messageOf } from '../../base/index.js'
import type { OutboxFolders } from './folders.js'
import { parseImageName } from './image-names.js'

/** A waiting image: a folder with a JSON and a JPEG file. */
export type Entry = {
  readonly name: string
  readonly folder: string
  readonly isPriority: boolean
  /** Of both files together. */
  readonly bytes: number
}

/** What is read of an entry before it is sent. */
export type EntryContent =
  | { readonly kind: 'whole'; readonly metadata: string; readonly imagePath: string }
  | { readonly kind: 'broken'; readonly problem: string }
  | { readonly kind: 'vanished' }

/**
 * All entries on disk, oldest first, also broken ones. Entries directly below the root are found too: releases of the
 * Python library before 0.14 put them there.
 */
export async function listEntries(folders: OutboxFolders): Promise<Entry[]> {
  const older = (await subfolders(folders.root)).filter((name) => parseImageName(name) !== undefined)
  const places = [
    ...older.map((name) => ({ name, folder: join(folders.root, name), isPriority: false })),
    ...(await subfolders(folders.normal)).map((name) => place(folders.normal, name, false)),
    ...(await subfolders(folders.priority)).map((name) => place(folders.priority, name, true)),
  ]
  const entries: Entry[] = []
  for (const each of places) entries.push({ ...each, bytes: await bytesOf(each.folder) })
  return entries.sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** Errors that are caused by the entry; all others are caused by this process or machine. */
const OF_THE_ENTRY = ['EACCES', 'EPERM', 'ENOTDIR', 'EISDIR', 'ELOOP', 'EIO', 'ERR_STRING_TOO_LONG']

/** Reads the JSON of an entry and checks whether its image can be sent. */
export async function readEntry({ folder }: Entry): Promise<EntryContent> {
  try {
    const names = await readdir(folder)
    const json = onlyName(names, '.json')
    const image = onlyName(names, '.jpg')
    if (json === undefined || image === undefined) return broken('it is not one JSON and one JPEG file')
    const imagePath = join(folder, image)
    const size = await sizeOfFile(imagePath)
    if (size === undefined || size === 0) return broken('its image is empty or no file')
    if ((await sizeOfFile(join(folder, json))) === undefined) return broken('its metadata are no file')
    await access(imagePath, constants.R_OK)
    const metadata = await readFile(join(folder, json), 'utf8')
    return isObject(metadata) ? { kind: 'whole', metadata, imagePath } : broken('its metadata are no JSON object')
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return { kind: 'vanished' }
    if (hasCode(error, ...OF_THE_ENTRY)) return broken(messageOf(error))
    throw error
  }
}

/** Names of the folders in a folder; links are left out, since their targets belong to others. */
export async function subfolders(folder: string): Promise<string[]> {
  const found: Dirent[] = await readdir(folder, { withFileTypes: true })
  return found.filter((entry) => entry.isDirectory()).map(({ name }) => name)
}

/** Bytes of the files in a folder. */
export async function bytesOf(folder: string): Promise<number> {
  let bytes = 0
  for (const name of await readdir(folder).catch(() => [])) bytes += (await sizeOfFile(join(folder, name))) ?? 0
  return bytes
}

function place(parent: string, name: string, isPriority: boolean): Omit<Entry, 'bytes'> {
  return { name, folder: join(parent, name), isPriority }
}

function onlyName(names: readonly string[], ending: string): string | undefined {
  const fitting = names.filter((name) => name.toLowerCase().endsWith(ending))
  return fitting.length === 1 ? fitting[0] : undefined
}

async function sizeOfFile(path: string): Promise<number | undefined> {
  const info = await lstat(path).catch(() => undefined)
  return info?.isFile() === true ? info.size : undefined
}

function isObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
  } catch {
    return false
  }
}

function broken(problem: string): EntryContent {
  return { kind: 'broken', problem }
}
