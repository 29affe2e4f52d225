import { Queue } from 'bullmq'
import type { Logger } from '../../base/logger/index.js'
import type { RedisLink } from '../redis/index.js'
import type { Queues } from './queues.js'

/** The queues as bull-board's adapter wants them; for looking only, since changes go through journal and control. */
export type BoardQueues = {
  /** Those that became known since the last call. */
  takeNew(): Promise<readonly Queue[]>
  close(): Promise<void>
}

export function createBoardQueues(
  link: RedisLink,
  queues: Pick<Queues, 'names'>,
  deps: { readonly log: Logger },
): BoardQueues {
  const opened = new Map<string, Queue>()

  function open(name: string): Queue {
    const queue = new Queue(name, { connection: link.connection(), prefix: link.prefix })
    // Without a listener BullMQ prints every failed reconnect; the link logs outages once.
    queue.on('error', (error) => deps.log.debug({ err: error, queue: name }, 'queue reports an error'))
    opened.set(name, queue)
    return queue
  }

  return {
    takeNew: async () => (await queues.names()).filter((name) => !opened.has(name)).map(open),
    async close() {
      for (const queue of opened.values()) await queue.close().catch(() => undefined) // Redis may be gone already
    },
  }
}
