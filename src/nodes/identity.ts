import { randomUUID } from 'node:crypto'
import { mkdir, open, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { hasCode, InvalidInputError, readJsonFile, removeTree, writeJsonFile } from '../base/index.js'

export type NodeIdentity = { readonly uuid: string; readonly name: string }

const uuidsSchema = z.record(z.string(), z.uuid())

/**
 * The identity of each seat of a node, kept in `<folder>/uuids.json` so that the Loop knows them again after a restart.
 * The first seat has the plain name; `uuid` overrides its id and is not written down.
 */
export async function readIdentities(options: {
  readonly folder: string
  readonly name: string
  readonly seats: number
  readonly uuid?: string
}): Promise<NodeIdentity[]> {
  const { folder, name, seats, uuid } = options
  if (uuid !== undefined && !z.uuid().safeParse(uuid).success) {
    throw new InvalidInputError(`Node id "${uuid}" is no UUID; leave --uuid out to have one made and kept.`)
  }
  const path = join(folder, 'uuids.json')
  return withLock(`${path}.lock`, () => readOrMake(path, { name, seats, uuid }))
}

type Wanted = { readonly name: string; readonly seats: number; readonly uuid: string | undefined }

async function readOrMake(path: string, { name, seats, uuid }: Wanted): Promise<NodeIdentity[]> {
  const known = (await readJsonFile(path, uuidsSchema)) ?? {}
  const names = Array.from({ length: seats }, (_, index) => (index === 0 ? name : `${name} ${index + 1}`))
  const identities = names.map((seatName, index) => ({
    name: seatName,
    uuid: (index === 0 ? uuid : undefined) ?? known[toKey(seatName)] ?? randomUUID(),
  }))
  const fresh = identities.filter((seat) => seat.uuid !== uuid && known[toKey(seat.name)] === undefined)
  if (fresh.length > 0) {
    await writeJsonFile(path, { ...known, ...Object.fromEntries(fresh.map((seat) => [toKey(seat.name), seat.uuid])) })
  }
  return identities
}

// The key of the Python library's file, so that its folder can be taken over.
function toKey(name: string): string {
  return name.toLowerCase().replaceAll(' ', '_')
}

const STALE_MS = 3000

// Nodes that start together on one folder write one after the other; each needs a few milliseconds.
async function withLock<T>(path: string, work: () => Promise<T>): Promise<T> {
  await mkdir(dirname(path), { recursive: true })
  while (!(await takes(path))) await sleep(20)
  try {
    return await work()
  } finally {
    await removeTree(path)
  }
}

async function takes(path: string): Promise<boolean> {
  try {
    await (await open(path, 'wx')).close()
    return true
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error
  }
  const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Date.now() })) // given back meanwhile
  if (Date.now() - mtimeMs > STALE_MS) await removeTree(path) // its node died while it wrote
  return false
}
