import { mkdir, rename, utimes } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { ArchiveRefusedError } from '../../base/archives/index.js'
import { messageOf, readJsonFile, removeTree, writeJsonFile } from '../../base/index.js'
import { unpackTar } from '../../base/tar/index.js'
import { EVENTS_FILE } from '../../executors/contract/index.js'
import { eventFiles } from '../../executors/training/index.js'
import { type CheckpointRules, checkpointPaths, filesBelow, watchedPaths } from './contents.js'
import { CheckpointBrokenError, type Marker, parseSequence } from './marker.js'
import type { CheckpointStore } from './store.js'

const NOTE = '.checkpoint-run.json'
const noteSchema = z.object({ run: z.int().min(0) })

export type RestoreOptions = {
  readonly workspace: string
  readonly rules: CheckpointRules
  /** Our own run; what a newer one has packed is none of our business. */
  readonly run: number
  readonly signal: AbortSignal
  /** Marks of checkpoints that a resume has failed with. */
  readonly failed: ReadonlySet<string>
  /** Throws what hinders it, but for a checkpoint that is broken, instead of going on without it. */
  readonly mustRead?: boolean
}
export type RestoreDeps = { readonly store: CheckpointStore; readonly say: (line: string) => void }

/** What was restored, with the mark by which a resume from it is known to have failed. */
export type Restored = Marker & { readonly mark: string }

/** Writes down whose state the workspace holds, so that a later run can tell what is newer. */
export async function noteRun(workspace: string, run: number): Promise<void> {
  await writeJsonFile(join(workspace, NOTE), { run })
}

/**
 * Puts the newest packed checkpoint that is whole into the workspace, in place of what is there, if a later run has
 * packed it than the one that worked here last, or if nothing is here to go on from. Returns its marker.
 */
export async function restoreNewest(options: RestoreOptions, deps: RestoreDeps): Promise<Restored | undefined> {
  const { workspace, rules } = options
  const watched = watchedPaths(rules)
  const ownRun = (await filesBelow(workspace, watched)).length === 0 ? 0 : await readNote(workspace)
  return await restoreAfter(ownRun, options, deps)
}

/** Puts the newest packed checkpoint into the workspace that is whole and that no resume has failed with. */
export async function restoreEarlier(options: RestoreOptions, deps: RestoreDeps): Promise<Restored | undefined> {
  return await restoreAfter(0, options, deps)
}

async function restoreAfter(ownRun: number, options: RestoreOptions, deps: RestoreDeps): Promise<Restored | undefined> {
  for (const sequence of await deps.store.list()) {
    const packedBy = parseSequence(sequence)?.run ?? 0
    if (packedBy > options.run || options.failed.has(packedMark(sequence))) continue
    if (packedBy <= ownRun) return undefined // they come newest first
    const marker = await tryRestore(sequence, options, deps)
    if (marker !== undefined) return { ...marker, mark: packedMark(sequence) }
  }
  return undefined
}

function packedMark(sequence: string): string {
  return `packed ${sequence}`
}

async function tryRestore(sequence: string, options: RestoreOptions, deps: RestoreDeps): Promise<Marker | undefined> {
  const temporary = join(options.workspace, '.checkpoint-restore')
  try {
    await removeTree(temporary)
    await mkdir(temporary, { recursive: true })
    const marker = await deps.store.readMarker(sequence)
    if (marker.source !== null && options.failed.has(marker.source)) return undefined
    await deps.store.fetch(sequence, marker, join(temporary, 'packed.tar'), options.signal)
    const files = await unpackTar(join(temporary, 'packed.tar'), join(temporary, 'files'))
    options.signal.throwIfAborted()
    await replace(options, join(temporary, 'files'), files)
    await noteRun(options.workspace, marker.run)
    return marker
  } catch (error) {
    options.signal.throwIfAborted()
    if (options.mustRead && !(error instanceof CheckpointBrokenError || error instanceof ArchiveRefusedError))
      throw error
    deps.say(`packed checkpoint ${sequence} is not used: ${messageOf(error)}`)
    return undefined
  } finally {
    await removeTree(temporary)
  }
}

// The file that says "resume" goes first and comes last: a kill in between leaves a workspace that is restored again.
async function replace({ workspace, rules }: RestoreOptions, from: string, files: readonly string[]): Promise<void> {
  const watched = new Set(watchedPaths(rules))
  for (const path of [...watched, ...checkpointPaths(rules), 'models', ...eventFiles]) {
    await removeTree(join(workspace, path))
  }
  const lastOnes = files.filter((file) => watched.has(file))
  for (const file of [...files.filter((file) => !watched.has(file)), ...lastOnes]) {
    await mkdir(dirname(join(workspace, file)), { recursive: true })
    await rename(join(from, file), join(workspace, file))
  }
  // They were whole when they were packed: none of the reported files counts as written after its report.
  const now = new Date()
  if (files.includes(EVENTS_FILE)) await utimes(join(workspace, EVENTS_FILE), now, now)
}

async function readNote(workspace: string): Promise<number> {
  const note = await readJsonFile(join(workspace, NOTE), noteSchema).catch(() => undefined) // then anything is newer
  return note?.run ?? 0
}
