import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import pLimit from 'p-limit'
import { hasCode, messageOf, removeTree, syncFolder } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import type { ImageUpload } from '../../loop/client/index.js'
import { bytesOf, type Entry, listEntries, subfolders } from './entries.js'
import { openFolders } from './folders.js'
import { openImageNames } from './image-names.js'
import type { OutboxSettings } from './options.js'
import { createSender } from './sender.js'
import { createWaitingImages } from './waiting-images.js'

export type OutboxStatus = {
  readonly normal: number
  readonly priority: number
  readonly bytes: number
  /** Since the start: dropped for newer images. */
  readonly dropped: number
  readonly setAside: number
  /** Since the start: accepted by the Loop. */
  readonly uploaded: number
  /** Why no image can be sent now. */
  readonly problem: string | null
}

/** Images that are written at the same time: each has two files open, and hundreds may wait. */
const MAX_WRITES = 16
const DROP_LOG_EVERY_MS = 60_000

export type OpenOutbox = Awaited<ReturnType<typeof openOutbox>>

export type OpenOutboxDeps = { readonly upload: ImageUpload; readonly log: Logger; readonly now: () => number }

/** Lists the images of an earlier process, and creates the parts of an outbox. */
export async function openOutbox(settings: OutboxSettings, deps: OpenOutboxDeps) {
  const { log } = deps
  const folders = await openFolders(settings.folder)
  const found = await listEntries(folders)
  const { maxSetAside, maxSetAsideBytes } = settings
  const setAside = await openSetAside({ folder: folders.setAside, maxImages: maxSetAside, maxBytes: maxSetAsideBytes })
  const taken = [...found.map(({ name }) => name), ...(await subfolders(folders.setAside))]
  const names = await openImageNames({ file: folders.nextNameFile, taken }, deps)
  const waiting = createWaitingImages(settings, found)
  const deleteAll = createDeletion(folders.temporary, { log })
  const syncParent = createSharedSync()
  let [dropped, uploaded, dropLogAt] = [0, 0, 0]

  async function drop(entries: readonly Entry[]): Promise<void> {
    if (entries.length === 0) return
    dropped += entries.length
    if (deps.now() >= dropLogAt) {
      log.warn({ dropped }, 'the outbox is full, its oldest images are dropped')
      dropLogAt = deps.now() + DROP_LOG_EVERY_MS
    }
    await deleteAll(entries)
  }

  async function putAside(entry: Entry, reason: string): Promise<void> {
    try {
      await setAside.put(entry, reason)
      log.warn({ image: entry.name, reason }, 'image set aside')
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return // it was deleted from outside
      log.error({ image: entry.name, reason, cause: messageOf(error) }, 'image cannot be set aside and is left alone')
    } finally {
      waiting.remove(entry)
    }
  }

  const sender = createSender(settings, {
    waiting,
    log,
    batch: {
      upload: deps.upload,
      bisectPauseMs: settings.bisectPauseMs,
      async onAccepted(entries) {
        for (const entry of entries) waiting.remove(entry)
        uploaded += entries.length
        await deleteAll(entries)
      },
      onUnfit: putAside,
      onVanished(entry) {
        waiting.remove(entry)
        log.warn({ image: entry.name }, 'image vanished from the outbox')
      },
    },
  })
  log.info({ folder: folders.root, ...waiting.figures() }, 'outbox opened')
  return {
    folders,
    names,
    waiting,
    sender,
    drop,
    syncParent,
    writes: pLimit(MAX_WRITES),
    status: (): OutboxStatus => ({
      ...waiting.figures(),
      dropped,
      setAside: setAside.count(),
      uploaded,
      problem: sender.problem(),
    }),
  }
}

/** Deletes entries. If one cannot be deleted, it is tried again with the next ones, and is not sent again meanwhile. */
function createDeletion(temporary: string, deps: { readonly log: Logger }) {
  const left = new Set<Entry>()

  async function deleteOne(entry: Entry): Promise<void> {
    try {
      await removeTree(await moveAway(entry))
      left.delete(entry)
    } catch (error) {
      if (!left.has(entry)) deps.log.error({ image: entry.name, reason: messageOf(error) }, 'image cannot be deleted')
      left.add(entry)
    }
  }

  /** By one rename, so that a kill leaves no half entry behind. */
  async function moveAway(entry: Entry): Promise<string> {
    const gone = join(temporary, `${entry.name}.done`)
    try {
      await rename(entry.folder, gone)
      return gone
    } catch (error) {
      if (hasCode(error, 'ENOENT', 'ENOTEMPTY', 'EEXIST')) return entry.folder
      throw error
    }
  }

  return async (entries: readonly Entry[]): Promise<void> => {
    await Promise.all([...left, ...entries].map(deleteOne))
  }
}

/** The folder of images that cannot be sent, with the reason beside each; beyond the limits the oldest are deleted. */
type SetAside = {
  put(entry: Entry, reason: string): Promise<void>
  count(): number
}

type SetAsideOptions = { readonly folder: string; readonly maxImages: number; readonly maxBytes: number }

async function openSetAside({ folder, maxImages, maxBytes }: SetAsideOptions): Promise<SetAside> {
  let kept: { readonly path: string; readonly bytes: number }[] = []
  for (const name of (await subfolders(folder)).sort()) {
    kept.push({ path: join(folder, name), bytes: await bytesOf(join(folder, name)) })
  }
  let bytes = kept.reduce((sum, each) => sum + each.bytes, 0)

  async function trim(): Promise<void> {
    while (kept.length > maxImages || bytes > maxBytes) {
      const oldest = kept.shift()
      if (oldest === undefined) return
      bytes -= oldest.bytes
      await removeTree(oldest.path)
    }
  }

  return {
    async put(entry, reason) {
      const path = join(folder, entry.name)
      await removeTree(path) // an older release may have used the same name
      await rename(entry.folder, path)
      bytes -= kept.find((each) => each.path === path)?.bytes ?? 0
      kept = kept.filter((each) => each.path !== path)
      kept.push({ path, bytes: entry.bytes })
      bytes += entry.bytes
      await trim()
      // On a full disk the image is set aside without the reason.
      await writeFile(join(path, 'reason.txt'), `${reason}\n`).catch(() => undefined)
    },
    count: () => kept.length,
  }
}

/** Syncs folders to the disk for several callers together: calls during a running sync share the next one. */
function createSharedSync(sync: (folder: string) => Promise<void> = syncFolder) {
  const running = new Map<string, Promise<void>>()
  const next = new Map<string, Promise<void>>()

  function begin(folder: string): Promise<void> {
    const work = sync(folder).finally(() => running.delete(folder))
    running.set(folder, work)
    return work
  }

  return (folder: string): Promise<void> => {
    const current = running.get(folder)
    if (current === undefined) return begin(folder)
    const planned = next.get(folder)
    if (planned !== undefined) return planned
    // The running sync may have started before the caller's rename, so it does not cover it.
    const after = current
      .catch(() => undefined)
      .then(() => {
        next.delete(folder)
        return begin(folder)
      })
    next.set(folder, after)
    return after
  }
}
