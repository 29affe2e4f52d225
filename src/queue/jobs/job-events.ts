import { QueueEvents } from 'bullmq'
import type { Logger } from '../../base/logger/index.js'
import { closeOrLeave, type RedisLink } from '../redis/index.js'
import type { LocalEvents, OnSettled } from './local-events.js'

export type JobEvents = {
  /** Calls back whenever the job is completed, has failed or is removed, from now on. */
  listen(queue: string, id: string, onChange: OnSettled): Promise<() => void>
  /** True where this process works on the queue itself: its own changes of a job are reported immediately. */
  isLocal(queue: string): boolean
  /** Of a job that a handler of this process works on, or has ended while Redis did not know it. */
  outcomeOf(queue: string, id: string): Promise<unknown> | undefined
  close(): Promise<void>
}

type Stream = { readonly events: QueueEvents; readonly listeners: Map<string, Set<() => void>>; idle?: NodeJS.Timeout }

const IDLE_MS = 60_000

/**
 * The event streams of queues, one connection each, kept while somebody waits for a job there and a minute longer. A
 * queue that this process works on itself needs none.
 */
export function createJobEvents(
  link: RedisLink,
  deps: { readonly local: LocalEvents; readonly log: Logger },
): JobEvents {
  const streams = new Map<string, Promise<Stream>>()

  async function open(queue: string): Promise<Stream> {
    const events = new QueueEvents(queue, {
      connection: link.connection(),
      prefix: link.prefix,
      // From a known place on: with the default, what happens until the first read is missed.
      lastEventId: await newestEventId(link, queue),
    })
    events.on('error', (error) => deps.log.debug({ err: error, queue }, 'event stream of a queue reports an error'))
    const listeners: Stream['listeners'] = new Map()
    const tell = ({ jobId }: { jobId: string }) => {
      for (const onChange of listeners.get(jobId) ?? []) onChange()
    }
    events.on('completed', tell)
    events.on('failed', tell)
    events.on('removed', tell)
    return { events, listeners }
  }

  function release(queue: string, stream: Stream, id: string, onChange: () => void): void {
    const ofJob = stream.listeners.get(id)
    ofJob?.delete(onChange)
    if (ofJob?.size === 0) stream.listeners.delete(id)
    if (stream.listeners.size > 0) return
    clearTimeout(stream.idle)
    stream.idle = setTimeout(() => {
      streams.delete(queue)
      void closeOrLeave(link, stream.events.close())
    }, IDLE_MS).unref()
  }

  return {
    isLocal: deps.local.isOpen,
    outcomeOf: deps.local.outcomeOf,
    async listen(queue, id, onSettled) {
      if (deps.local.isOpen(queue)) return deps.local.listen(queue, id, onSettled)
      const onChange = () => onSettled()
      const opening = streams.get(queue) ?? open(queue)
      streams.set(queue, opening)
      const stream = await opening
      clearTimeout(stream.idle)
      stream.listeners.set(id, (stream.listeners.get(id) ?? new Set()).add(onChange))
      return () => release(queue, stream, id, onChange)
    },
    async close() {
      const closing = [...streams.values()].map(async (opening) => {
        const stream = await opening
        clearTimeout(stream.idle)
        await stream.events.close()
      })
      streams.clear()
      await closeOrLeave(link, Promise.all(closing))
    },
  }
}

async function newestEventId(link: RedisLink, queue: string): Promise<string> {
  const newest = await link.client.xrevrange(`${link.prefix}:${queue}:events`, '+', '-', 'COUNT', 1)
  return newest[0]?.[0] ?? '0-0'
}
