import pLimit from 'p-limit'
import { hasCode, messageOf } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import type { ImageUpload } from '../../loop/client/index.js'
import { createDeletion } from './deletion.js'
import { type Entry, listEntries, subfolders } from './entries.js'
import { openFolders } from './folders.js'
import { openImageNames } from './image-names.js'
import type { OutboxSettings } from './options.js'
import { createSender } from './sender.js'
import { openSetAside } from './set-aside.js'
import { createSharedSync } from './shared-sync.js'
import { createWaitingImages } from './waiting-images.js'

export type OutboxStatus = {
  readonly normal: number
  readonly priority: number
  readonly bytes: number
  /** Since the start: given up for newer ones. */
  readonly dropped: number
  readonly setAside: number
  /** Since the start: taken by the Loop. */
  readonly uploaded: number
  /** Why nothing goes out just now. */
  readonly problem: string | null
}

/** Each one has two files open; hundreds may want to at once. */
const WRITES_AT_ONCE = 16
const DROP_LOG_EVERY_MS = 60_000

export type OpenOutbox = Awaited<ReturnType<typeof openOutbox>>

export type OpenOutboxDeps = { readonly upload: ImageUpload; readonly log: Logger; readonly now: () => number }

/** Finds what a former process has left, and puts the parts of an outbox together. */
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
      if (hasCode(error, 'ENOENT')) return // it vanished
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
      async onTaken(entries) {
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
    writes: pLimit(WRITES_AT_ONCE),
    status: (): OutboxStatus => ({
      ...waiting.figures(),
      dropped,
      setAside: setAside.count(),
      uploaded,
      problem: sender.problem(),
    }),
  }
}
