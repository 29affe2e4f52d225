import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { access, mkdir, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { hasCode, messageOf, readJsonFile, removeTree, safePathSegment, writeJsonFile } from '../../base/index.js'
import { packTar } from '../../base/tar/index.js'
import type { TrainingRecord } from '../../queue/index.js'
import {
  CheckpointBrokenError,
  CheckpointFolderError,
  type Marker,
  markerSchema,
  parseSequence,
  toSequence,
} from './marker.js'

/** How many packed checkpoints of a training are kept: the newest, and one to fall back on. */
const KEPT = 2

type PackSource = { readonly folder: string; readonly names: readonly string[] }
type PackAbout = Pick<Marker, 'run' | 'epoch' | 'source' | 'finished'>
type PackOptions = {
  /** Throws when another host has taken the training over; asked directly before the marker is written. */
  readonly checkFence: () => Promise<void>
  readonly signal: AbortSignal
}

/** The packed checkpoints of one training in the shared folder: `<folder>/<trainingId>/<sequence>.tar` and `.json`. */
export type CheckpointStore = {
  pack(source: PackSource, about: PackAbout, options: PackOptions): Promise<Marker>
  /** Throws LF_PATH_UNUSABLE if the shared folder is not there, as when it is not mounted now. */
  checkFolder(): Promise<void>
  /** Sequences that have a marker, the newest first. */
  list(): Promise<string[]>
  /** Throws LF_CHECKPOINT_BROKEN. */
  readMarker(sequence: string): Promise<Marker>
  /** Copies the tar to `target` and checks it on the way; throws LF_CHECKPOINT_BROKEN. */
  fetch(sequence: string, marker: Marker, target: string, signal: AbortSignal): Promise<void>
}

export function createCheckpointStore(folder: string, trainingId: string): CheckpointStore {
  const own = join(folder, safePathSegment(trainingId))
  const tarOf = (sequence: string) => join(own, `${sequence}.tar`)
  const markerOf = (sequence: string) => join(own, `${sequence}.json`)

  async function list(): Promise<string[]> {
    const names = await namesIn(own)
    const sequences = names.flatMap((name) => (name.endsWith('.json') ? [name.slice(0, -'.json'.length)] : []))
    return sequences.filter((sequence) => parseSequence(sequence) !== undefined).sort(byAge)
  }

  // The marker goes first, so that no reader takes up what is about to vanish.
  async function forgetOlder(current: string): Promise<void> {
    const kept = new Set((await list()).slice(0, KEPT))
    for (const name of await namesIn(own)) {
      const sequence = name.replace(/\.(json|tar)$/, '')
      const isOld = parseSequence(sequence) !== undefined && !kept.has(sequence) && byAge(current, sequence) < 0
      if (isOld && name.endsWith('.json')) await rm(markerOf(sequence), { force: true })
      if (isOld) await rm(tarOf(sequence), { force: true })
      if (isTemporaryUpTo(name, current)) await rm(join(own, name), { force: true })
    }
  }

  return {
    async pack(source, about, { checkFence, signal }) {
      await makeOwnFolder(folder, own)
      const sequence = toSequence(about.run, await nextNumber(own))
      const tar = await packTar(source.folder, source.names, tarOf(sequence), { signal })
      const marker = { version: 1 as const, ...tar, ...about, createdAt: new Date().toISOString() }
      try {
        await checkFence()
        signal.throwIfAborted()
        await writeJsonFile(markerOf(sequence), marker)
      } catch (error) {
        await rm(tarOf(sequence), { force: true })
        throw error
      }
      await forgetOlder(sequence)
      return marker
    },
    async checkFolder() {
      await access(folder).catch((error: unknown) => {
        throw new CheckpointFolderError(folder, error)
      })
    },
    list,
    async readMarker(sequence) {
      const file = markerOf(sequence)
      const marker = await readJsonFile(file, markerSchema).catch((error: unknown) => {
        throw new CheckpointBrokenError({ file, problem: messageOf(error) }, error)
      })
      if (marker === undefined) throw new CheckpointBrokenError({ file, problem: 'it is gone' })
      if (marker.run === parseSequence(sequence)?.run) return marker
      throw new CheckpointBrokenError({ file, problem: `it is of run ${marker.run}, which its name does not say` })
    },
    async fetch(sequence, marker, target, signal) {
      const file = tarOf(sequence)
      const size = await sizeOf(file)
      if (size !== marker.bytes) {
        const problem = size === undefined ? 'it is gone' : `it has ${size} bytes instead of ${marker.bytes}`
        throw new CheckpointBrokenError({ file, problem })
      }
      if ((await copyHashed(file, target, signal)) === marker.sha256) return
      throw new CheckpointBrokenError({ file, problem: 'its content is not what was packed (SHA-256)' })
    },
  }
}

/** Removes the checkpoints of every training that needs none any more, also of those that ended without a host. */
export async function forgetEnded(folder: string, isOver: (trainingId: string) => Promise<boolean>): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (entry.isDirectory() && !entry.name.startsWith('.') && (await isOver(entry.name))) {
      await removeTree(join(folder, entry.name))
    }
  }
}

/** Whether nobody will resume it: it was completed or aborted, or has failed so long ago that its workspaces go too. */
export function isOver(
  record: Pick<TrainingRecord, 'outcome' | 'endedAt'> | undefined,
  options: { readonly keepFailedMs: number; readonly now: number },
): boolean {
  // What has no record here may be of another fleet.
  if (record === undefined || record.endedAt === null) return false
  return record.outcome !== 'failed' || options.now - record.endedAt > options.keepFailedMs
}

function byAge(one: string, other: string): number {
  const a = parseSequence(one) ?? { run: 0, number: 0 }
  const b = parseSequence(other) ?? { run: 0, number: 0 }
  return b.run - a.run || b.number - a.number
}

async function nextNumber(folder: string): Promise<number> {
  const numbers = (await namesIn(folder)).map((name) => parseSequence(name.replace(/\.(json|tar)$/, ''))?.number ?? 0)
  return Math.max(0, ...numbers) + 1
}

// What a killed worker left half written. One tar is packed at a time, so nothing of this run is in work now.
function isTemporaryUpTo(name: string, current: string): boolean {
  const sequence = /^\.(\d+-\d+)\.(?:tar|json)\..*\.tmp$/.exec(name)?.[1]
  return sequence !== undefined && byAge(current, sequence) <= 0
}

// The shared folder itself is not made: where its file system is not mounted, we would fill the disk of this host.
async function makeOwnFolder(folder: string, own: string): Promise<void> {
  try {
    await mkdir(own)
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return
    if (!hasCode(error, 'ENOENT')) throw error
    throw new CheckpointFolderError(folder, error)
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return []
    throw error
  }
}

async function sizeOf(file: string): Promise<number | undefined> {
  try {
    return (await stat(file)).size
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
}

async function copyHashed(from: string, to: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256')
  async function* hashed(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of chunks) {
      hash.update(chunk)
      yield chunk
    }
  }
  await pipeline(createReadStream(from), hashed, createWriteStream(to), { signal })
  return hash.digest('hex')
}
