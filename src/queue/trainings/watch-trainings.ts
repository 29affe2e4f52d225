import { type Closers, openResource } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import { createChangeFeed } from '../records/change-feed.js'
import type { Change } from '../records/change-stream.js'
import { recordKeys } from '../records/record-keys.js'
import { closeOrLeave, type RedisLink, type Subscription } from '../redis/index.js'

type WatchDeps = {
  readonly link: RedisLink
  /** Ids of the unfinished ones. */
  readonly unfinished: () => Promise<readonly string[]>
  readonly log: Logger
}

/** The fields of a record that are in the status at the Loop. */
const STATUS_FIELDS = ['state', 'progress', 'errors', 'trainImageCount', 'testImageCount', 'skippedImageCount'].map(
  (field) => `data:${field}`,
)
/** Changes of fields; all others change the life of a record. */
const UPDATES: ReadonlySet<string> = new Set(['updated', 'failure'])

/**
 * From now on calls with the id of each training whose status at the Loop changes. After an outage, or if changes were lost,
 * calls with the ids of all unfinished trainings.
 */
export async function watchTrainings(onChange: (id: string) => void, deps: WatchDeps): Promise<Subscription> {
  const { link } = deps
  const watch = await openResource(deps.log, async (closers) => {
    await open(onChange, deps, closers)
    return {}
  })
  return { close: () => closeOrLeave(link, watch.close()) }
}

async function open(
  onChange: (id: string) => void,
  { link, unfinished, log }: WatchDeps,
  closers: Closers,
): Promise<void> {
  const keys = recordKeys(link)
  const over = new AbortController()
  const seen = new Map<string, string>()
  const feed = createChangeFeed(link, {}, { log })
  let following: Promise<void> | undefined

  async function onTraining({ id, what }: Change): Promise<void> {
    if (what === 'ended' || what === 'removed') {
      seen.delete(id)
      return onChange(id)
    }
    const before = seen.get(id)
    const now = JSON.stringify(await link.client.hmget(keys.record(id), ...STATUS_FIELDS))
    seen.set(id, now)
    if (!UPDATES.has(what) || now !== before) onChange(id)
  }

  async function notifyAll(): Promise<void> {
    seen.clear()
    for (const id of await unfinished()) if (!over.signal.aborted) onChange(id)
  }

  async function notifyAllSafely(): Promise<void> {
    await notifyAll().catch((error: unknown) => {
      if (!over.signal.aborted) log.warn({ err: error }, 'unfinished trainings cannot be read')
    })
  }

  closers.add('following', () => following)
  closers.add('changes', () => feed.stop())
  closers.add('end', () => over.abort())
  await feed.start({ signal: over.signal })
  const items = feed.follow(undefined, over.signal)
  await items.next() // the first item is the snapshot from which changes are followed
  closers.add(
    'reconnect',
    link.onReconnect(() => void notifyAllSafely()),
  )
  following = follow()

  async function follow(): Promise<void> {
    try {
      for await (const item of items) {
        if (item.snapshot) await notifyAllSafely()
        else if (item.change.kind === 'training') await onTraining(item.change)
      }
    } catch (error) {
      if (!over.signal.aborted) log.error({ err: error }, 'changes of trainings not followed')
    }
  }
}
