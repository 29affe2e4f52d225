import { type Closers, createService, LoopfleetError, messageOf, type Service } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import type { ImageUpload } from '../../loop/client/index.js'
import type { OutboxMode } from '../../loop/protocol/index.js'
import type { Entry } from './entries.js'
import { type OpenOutbox, type OutboxStatus, openOutbox } from './open-outbox.js'
import { type OutboxOptions, type OutboxSettings, outboxOptionsSchema } from './options.js'
import { writeEntry } from './write-entry.js'

type OutboxItem = {
  readonly image: { readonly bytes: Uint8Array }
  /** Sent to the Loop unchanged; only a `date` of null becomes the time in the image's name. */
  readonly metadata: Readonly<Record<string, unknown>>
  readonly priority?: boolean
}

/** Images that wait on disk until the Loop has accepted them. */
export interface Outbox extends Service {
  /**
   * Resolves with the image's name when it is durable on disk. Throws LF_OUTBOX_WRITE (disk full), LF_OUTBOX_FULL and
   * LF_OUTBOX_CLOSED; then the image is not saved.
   */
  save(item: OutboxItem): Promise<string>
  readonly mode: OutboxMode
  /** In mode `stopped` images are saved, but not sent; resolves when no request is active any more. */
  setMode(mode: OutboxMode): Promise<void>
  status(): OutboxStatus
}

export type OutboxDeps = { readonly upload: ImageUpload; readonly log: Logger; readonly now: () => number }

/** The outbox of a folder, which no other process may use at the same time. */
export function createOutbox(options: OutboxOptions, deps: OutboxDeps): Outbox {
  const settings = outboxOptionsSchema.parse(options)
  const log = deps.log.child({ component: 'outbox' })
  const saves = new Set<Promise<unknown>>()
  let mode: OutboxMode = settings.mode
  let parts: OpenOutbox | undefined
  let lastParts: OpenOutbox | undefined

  async function open(signal: AbortSignal, closers: Closers): Promise<void> {
    const opened = await openOutbox(settings, { ...deps, log })
    signal.throwIfAborted()
    closers.add('saves', () => Promise.allSettled(saves))
    closers.add('sender', () => {
      parts = undefined
      return opened.sender.switchOff()
    })
    parts = opened
    lastParts = opened
    if (mode === 'continuous_upload') opened.sender.switchOn()
  }

  return {
    ...createService('outbox', open, { log }),
    async save(item) {
      if (parts === undefined) throw new OutboxClosedError()
      const saving = saveItem(item, parts, settings)
      saves.add(saving)
      try {
        return await saving
      } finally {
        saves.delete(saving)
      }
    },
    get mode() {
      return mode
    },
    async setMode(wanted) {
      mode = wanted
      if (wanted === 'continuous_upload') parts?.sender.switchOn()
      else await parts?.sender.switchOff()
    },
    status: () => lastParts?.status() ?? NOTHING,
  }
}

const NOTHING = { normal: 0, priority: 0, bytes: 0, dropped: 0, setAside: 0, uploaded: 0, problem: null }

async function saveItem(item: OutboxItem, parts: OpenOutbox, settings: OutboxSettings): Promise<string> {
  const isPriority = item.priority === true
  const bytes = item.image.bytes.length + Buffer.byteLength(JSON.stringify(item.metadata))
  const reservation = parts.waiting.reserve(bytes, isPriority)
  if (reservation === undefined) throw new OutboxFullError({ bytes, ...settings })
  let entry: Entry
  try {
    entry = await parts.writes(() => write(item, isPriority, parts))
  } catch (error) {
    reservation.cancel()
    throw new OutboxWriteError({ folder: settings.folder }, error)
  }
  await parts.drop(reservation.commit(entry))
  parts.sender.wake()
  return entry.name
}

async function write({ image, metadata }: OutboxItem, isPriority: boolean, parts: OpenOutbox): Promise<Entry> {
  for (;;) {
    const name = await parts.names.next()
    const dated = metadata.date === null ? { ...metadata, date: name.slice(0, DATE_LENGTH) } : metadata
    const what = { name, metadata: JSON.stringify(dated), image: image.bytes, isPriority }
    const entry = await writeEntry(what, parts.folders, parts.syncParent)
    if (entry !== undefined) return entry
  }
}

/** Characters of a name up to the milliseconds: the form of dates in dialect 0.8. */
const DATE_LENGTH = 23

/** An image could not be written; no part of it is left on disk. */
class OutboxWriteError extends LoopfleetError {
  static {
    this.prototype.name = 'OutboxWriteError'
  }
  constructor(details: { readonly folder: string }, cause: unknown) {
    super(
      'LF_OUTBOX_WRITE',
      `The image was not kept, since the outbox ${details.folder} cannot be written: ${messageOf(cause)}. ` +
        'Make room on its disk or give it another folder.',
      { details, cause, failure: 'transient' },
    )
  }
}

/** The outbox is full, and no image may be dropped for this one. */
class OutboxFullError extends LoopfleetError {
  static {
    this.prototype.name = 'OutboxFullError'
  }
  constructor(details: { readonly bytes: number; readonly maxImages: number; readonly maxBytes: number }) {
    super(
      'LF_OUTBOX_FULL',
      `The image of ${details.bytes} bytes was not kept, since it finds no room in the outbox beside what goes ahead ` +
        `of it (${details.maxImages} images, ${details.maxBytes} bytes); raise the limits or let the outbox upload.`,
      { details, failure: 'transient' },
    )
  }
}

/** An outbox that has not started or was stopped keeps no images. */
class OutboxClosedError extends LoopfleetError {
  static {
    this.prototype.name = 'OutboxClosedError'
  }
  constructor() {
    super('LF_OUTBOX_CLOSED', 'The image was not kept, since the outbox is not running.', { failure: 'transient' })
  }
}
