import { setTimeout as sleep } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import { type Closers, createService, type Service } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import { type RedisLink, untilAborted } from '../redis/index.js'
import { type Change, type Cursor, createChangeStream, type StreamPosition } from './change-stream.js'

/** A change, or a snapshot: changes were lost, and the caller reads all records; the next changes are newer than these. */
type FeedItem =
  | { readonly snapshot: true; readonly cursor: Cursor }
  | { readonly snapshot: false; readonly change: Change; readonly cursor: Cursor }

/** The changes of all records, as they happen; every follower of a process shares one connection. */
export type ChangeFeed = Service & {
  /**
   * All changes behind the cursor, without a gap, until the signal aborts. Without a cursor, with one whose place was
   * trimmed, and after Redis has lost writes, the next item is a snapshot.
   */
  follow(cursor: Cursor | undefined, signal: AbortSignal): AsyncGenerator<FeedItem, void, void>
}

export type ChangeFeedOptions = {
  /** A follower that is so far behind is given a snapshot instead. */
  readonly maxBehind?: number
}

/** `seen` is the number of the last change that it was given, or that its cursor names. */
type Follower = { readonly items: FeedItem[]; wake: () => void; seen: number }

const PAGE = 500
const BLOCK_MS = 5_000
const RETRY_MS = 500

export function createChangeFeed(
  link: RedisLink,
  options: ChangeFeedOptions,
  deps: { readonly log: Logger },
): ChangeFeed {
  const { maxBehind = 10_000 } = options
  const stream = createChangeStream(link)
  const followers = new Set<Follower>()
  let opened: (first: StreamPosition) => void = () => undefined
  const opening = new Promise<StreamPosition>((resolve) => (opened = resolve))
  let position: StreamPosition | undefined
  let reading: Promise<void> | undefined
  /** Raised when Redis has lost writes: what was read before is worth nothing. */
  let generation = 0

  async function open(signal: AbortSignal, closers: Closers): Promise<void> {
    position = await untilAborted(stream.newest(), signal)
    opened(position)
    const connection = link.duplicate()
    closers.add('reader', () => reading)
    closers.add('connection', () => connection.disconnect())
    closers.add(
      'reconnect',
      link.onReconnect(() => void checkPosition(signal)),
    )
    reading = readOn(connection, signal)
  }

  async function readOn(connection: Redis, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        const before = generation
        const from = position ?? (await opening)
        const read = await untilAborted(stream.readBehind(connection, from, { count: PAGE, blockMs: BLOCK_MS }), signal)
        if (before !== generation) continue
        if (read === 'gap') await untilAborted(startAgain(), signal)
        else for (const change of read) give(change)
      } catch (error) {
        if (signal.aborted) return
        deps.log.debug({ err: error }, 'changes not read')
        await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined)
      }
    }
  }

  function give(change: Change): void {
    position = change.position
    const item = { snapshot: false, change, cursor: stream.toCursor(change.position) } as const
    for (const follower of followers) {
      if (follower.items.length >= maxBehind) {
        follower.items.length = 0
        follower.items.push({ snapshot: true, cursor: item.cursor })
      } else follower.items.push(item)
      follower.wake()
    }
  }

  async function startAgain(): Promise<void> {
    const newest = await stream.newest()
    generation += 1
    position = newest
    for (const follower of followers) {
      follower.items.length = 0
      follower.items.push({ snapshot: true, cursor: stream.toCursor(newest) })
      follower.wake()
    }
  }

  // A Redis that came back older has less than we have read: no change would say so.
  async function checkPosition(signal: AbortSignal): Promise<void> {
    try {
      if (position !== undefined && !(await stream.has(position)) && !signal.aborted) await startAgain()
    } catch (error) {
      if (!signal.aborted) deps.log.debug({ err: error }, 'place in the changes not checked')
    }
  }

  async function* follow(cursor: Cursor | undefined, signal: AbortSignal): AsyncGenerator<FeedItem, void, void> {
    const follower: Follower = { items: [], wake: () => undefined, seen: 0 }
    const either = AbortSignal.any([signal, service.signal])
    const first = await untilAborted(opening, either).catch(() => undefined)
    if (first === undefined) return
    const start = position ?? first
    const end = () => follower.wake()
    followers.add(follower)
    either.addEventListener('abort', end, { once: true })
    try {
      yield* catchUp(cursor, start, follower, either)
      for (;;) {
        while (follower.items.length === 0 && !either.aborted) await nextItem(follower)
        if (either.aborted) return
        const item = follower.items.shift()
        if (item === undefined) continue
        const isSeen = !item.snapshot && item.change.position.n <= follower.seen
        if (item.snapshot) follower.seen = 0
        if (!isSeen) yield item
      }
    } catch (error) {
      if (!either.aborted) throw error
    } finally {
      followers.delete(follower)
      either.removeEventListener('abort', end)
    }
  }

  /** From the cursor to the place from which the shared reader goes on. */
  async function* catchUp(
    cursor: Cursor | undefined,
    start: StreamPosition,
    follower: Follower,
    signal: AbortSignal,
  ): AsyncGenerator<FeedItem, void, void> {
    let from = cursor === undefined ? undefined : stream.parseCursor(cursor)
    const before = generation
    if (from !== undefined && !(await untilAborted(stream.has(from), signal))) from = undefined
    // Another process may have read further than we have: what it knows comes again to us, but not to this follower.
    follower.seen = from?.n ?? 0
    while (from !== undefined && from.n < start.n) {
      const page = await untilAborted(stream.readRange(from, start, PAGE), signal)
      if (before !== generation) return
      if (page === 'gap' || page.length === 0) {
        from = undefined
        break
      }
      for (const change of page) {
        yield { snapshot: false, change, cursor: stream.toCursor(change.position) } as const
        from = change.position
      }
    }
    if (from !== undefined || before !== generation) return
    const newest = await untilAborted(stream.newest(), signal)
    follower.seen = newest.n
    yield { snapshot: true, cursor: stream.toCursor(newest) }
  }

  const service = createService('change feed', open, { log: deps.log })
  return {
    start: service.start,
    stop: service.stop,
    [Symbol.asyncDispose]: service[Symbol.asyncDispose],
    follow,
  }
}

async function nextItem(follower: Follower): Promise<void> {
  await new Promise<void>((resolve) => {
    follower.wake = resolve
  })
}
