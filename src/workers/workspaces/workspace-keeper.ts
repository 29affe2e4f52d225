import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { hasCode, tryToRemove } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import type { Context } from '../../loop/protocol/index.js'
import type { TrainingOutcome } from '../../queue/index.js'

export type WorkspaceKeeperOptions = {
  readonly dataFolder: string
  /** Whose folders of a project they are. */
  readonly of?: 'trainings' | 'conversions'
  /** Completed trainings keep their workspaces when the next one of their project begins. */
  readonly keepOld: boolean
  /** How long what failed is kept: a training to be retried from there, a conversion's log to be read. */
  readonly keepFailedMs: number
  /** All workspaces of what has ended together; 0 is no limit. */
  readonly maxBytes: number
}

export type WorkspaceKeeperDeps = {
  readonly records: { load(id: string): Promise<WorkspaceOwner | undefined> }
  /** A training or conversion of this host that winds down still needs its workspace. */
  readonly isActive: (id: string) => boolean
  /** Whether the host reports this folder already, as that of work whose record was lost under it. */
  readonly isReported?: (path: string) => boolean
  readonly now: () => number
  readonly log: Logger
}

/** What decides over a workspace; both are null as long as it is in use. */
export type WorkspaceOwner = { readonly endedAt: number | null; readonly outcome: TrainingOutcome | null }

/** Clears the workspaces of ended trainings, or conversions, on this host; those of unfinished ones are never touched. */
export type WorkspaceKeeper = {
  /** Clears in the background; with a project, whose next training begins, also its completed ones. */
  tidy(beginning?: Context): void
  /** Resolves when all that was asked for so far is done; what goes wrong is logged. */
  settled(): Promise<void>
  /** Of trainings without a record: Redis has lost it, so their models are kept. One sentence. */
  readonly errors: readonly string[]
  /** Leaves the rest for the next time. */
  close(): Promise<void>
}

type Workspace = Context & { readonly id: string; readonly path: string }
type Outcome = TrainingOutcome | 'unknown'
type Ended = Workspace & { readonly outcome: Outcome; readonly endedAt: number }

/** How long the workspaces of failed trainings are kept, and how many bytes all of them may have. */
export const DEFAULT_KEEP = { keepFailedMs: 14 * 86_400_000, maxBytes: 100e9 }

export function createWorkspaceKeeper(options: WorkspaceKeeperOptions, deps: WorkspaceKeeperDeps): WorkspaceKeeper {
  const closing = new AbortController()
  const reported = new Set<string>()
  let withoutRecord: readonly string[] = []
  let work: Promise<void> = Promise.resolve()

  async function tidyOnce(beginning: Context | undefined): Promise<void> {
    const kept: Ended[] = []
    const unknown: string[] = []
    for (const workspace of await listWorkspaces(options.dataFolder, options.of ?? 'trainings')) {
      closing.signal.throwIfAborted()
      const ended = await whenEnded(workspace)
      if (ended === undefined) continue
      if (ended.outcome === 'unknown' && options.of !== 'conversions') {
        unknown.push(ended.path)
        continue
      }
      const why = whyItGoes(ended, beginning)
      if (why === undefined) kept.push(ended)
      else await remove(ended, why)
    }
    reportUnknown(unknown)
    if (options.maxBytes > 0) await keepWithin(options.maxBytes, kept)
  }

  // No record of a training is ever removed, so Redis has lost these, or is another one than before.
  function reportUnknown(paths: readonly string[]): void {
    const added = paths.filter((path) => !withoutRecord.includes(path))
    withoutRecord = paths
    if (added.length > 0) deps.log.error({ folders: added.slice(0, 20), count: added.length }, sentenceOf(paths))
  }

  function whyItGoes({ outcome, endedAt, ...workspace }: Ended, beginning: Context | undefined): string | undefined {
    switch (outcome) {
      case 'aborted':
        return 'aborted'
      case 'completed':
        return !options.keepOld && isOf(workspace, beginning) ? 'another one begins' : undefined
      case 'failed':
      case 'unknown':
        return deps.now() - endedAt > options.keepFailedMs ? 'too old' : undefined
      default:
        return outcome satisfies never
    }
  }

  async function keepWithin(maxBytes: number, kept: readonly Ended[]): Promise<void> {
    const sized: (Ended & { readonly bytes: number })[] = []
    for (const ended of kept) sized.push({ ...ended, bytes: await bytesBelow(ended.path, closing.signal) })
    let bytes = sized.reduce((sum, each) => sum + each.bytes, 0)
    for (const oldest of sized.sort((a, b) => a.endedAt - b.endedAt)) {
      if (bytes <= maxBytes) return
      await remove(oldest, 'too many bytes')
      bytes -= oldest.bytes
    }
  }

  async function remove(workspace: Ended, why: string): Promise<void> {
    closing.signal.throwIfAborted()
    if ((await whenEnded(workspace)) === undefined) return // retried meanwhile
    const left = await tryToRemove(workspace.path, { signal: closing.signal })
    closing.signal.throwIfAborted()
    if (left.length === 0) {
      deps.log.info(
        { of: options.of ?? 'trainings', id: workspace.id, outcome: workspace.outcome, why },
        'workspace cleared',
      )
    } else if (!reported.has(workspace.path)) {
      reported.add(workspace.path) // it is tried again with every training; once is enough to read
      const files = left.slice(0, 20)
      deps.log.warn({ path: workspace.path, files, count: left.length }, 'workspace not cleared; delete it by hand')
    }
  }

  /** Undefined for a training that has not ended; one without a record has ended when it was last touched. */
  async function whenEnded(workspace: Workspace): Promise<Ended | undefined> {
    if (deps.isActive(workspace.id)) return undefined
    const record = await deps.records.load(workspace.id)
    if (record === undefined) {
      const { mtimeMs } = await lstat(workspace.path)
      return { ...workspace, outcome: 'unknown', endedAt: mtimeMs }
    }
    if (record.endedAt === null || record.outcome === null) return undefined
    return { ...workspace, outcome: record.outcome, endedAt: record.endedAt }
  }

  return {
    tidy(beginning) {
      if (closing.signal.aborted) return
      work = work
        .then(() => tidyOnce(beginning))
        .catch((error: unknown) => {
          if (!closing.signal.aborted) deps.log.warn({ err: error }, 'old workspaces not checked')
        })
    },
    settled: () => work,
    get errors() {
      const paths = withoutRecord.filter((path) => deps.isReported?.(path) !== true)
      return paths.length === 0 ? [] : [sentenceOf(paths)]
    },
    async close() {
      closing.abort()
      await work
    },
  }
}

function sentenceOf(paths: readonly string[]): string {
  const folders = paths.length === 1 ? `the training in ${paths[0]}` : `${paths.length} trainings (${paths[0]} …)`
  return `Redis has no record of ${folders}; their files are kept: bring the data of Redis back, or delete them by hand.`
}

function isOf(workspace: Context, other: Context | undefined): boolean {
  return workspace.organization === other?.organization && workspace.project === other.project
}

/** Ids of ours have no dash; the uuid folders of a Python node in the same data folder are its own. */
const OUR_ID = /^[a-z][0-9a-z]+$/

async function listWorkspaces(dataFolder: string, of: 'trainings' | 'conversions'): Promise<Workspace[]> {
  const workspaces: Workspace[] = []
  for (const organization of await foldersIn(dataFolder)) {
    for (const project of await foldersIn(join(dataFolder, organization))) {
      const folder = join(dataFolder, organization, project, of)
      const ids = (await foldersIn(folder)).filter((id) => OUR_ID.test(id))
      workspaces.push(...ids.map((id) => ({ organization, project, id, path: join(folder, id) })))
    }
  }
  return workspaces
}

/** Links are followed nowhere: what lies behind them is not ours. */
async function foldersIn(folder: string): Promise<string[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true })
    return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name)
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return []
    throw error
  }
}

/** What removing the folder would free: a file with two names counts half under each. */
async function bytesBelow(folder: string, signal: AbortSignal): Promise<number> {
  let bytes = 0
  for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
    signal.throwIfAborted()
    const path = join(folder, entry.name)
    if (entry.isDirectory()) bytes += await bytesBelow(path, signal)
    else if (entry.isFile()) bytes += await fileBytes(path)
  }
  return bytes
}

async function fileBytes(path: string): Promise<number> {
  try {
    const { size, nlink } = await lstat(path)
    return size / Math.max(1, nlink)
  } catch {
    return 0 // gone meanwhile
  }
}
