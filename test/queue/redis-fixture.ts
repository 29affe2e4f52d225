import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLogger } from '../../src/base/logger/logger.js'
import { type EmbeddedRedis, startRedisServer } from '../../src/queue/embedded-redis/redis-server.js'
import { createQueues, type Queues } from '../../src/queue/jobs/queues.js'
import { openRedis, type RedisLink } from '../../src/queue/redis/open-redis.js'

const log = silentLogger()

/** One real Redis for a test file, in a folder of its own. */
export type RedisFixture = {
  readonly folder: string
  readonly server: EmbeddedRedis
  readonly link: RedisLink
  readonly queues: Queues
  /** A further process's view: a connection and queues of its own, closed with the fixture. */
  another(): Promise<{ readonly link: RedisLink; readonly queues: Queues }>
  close(): Promise<void>
}

export async function startRedisFixture(): Promise<RedisFixture> {
  const folder = await mkdtemp(join(tmpdir(), 'loopfleet-redis-'))
  const server = await startRedisServer({ folder }, { log })
  const closers: (() => Promise<void>)[] = []

  async function another() {
    const link = await openRedis(server.url, { log })
    const queues = createQueues(link, { log })
    closers.push(async () => {
      await queues.close()
      await link.close()
    })
    return { link, queues }
  }

  const own = await another()
  return {
    folder,
    server,
    ...own,
    another,
    async close() {
      for (const close of closers) await close()
      await server.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
