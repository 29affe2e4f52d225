import type { EventEmitter } from 'node:events'
import { createLogger, type Logger } from '../../../src/base/logger/logger.js'
import type { GpuOffer } from '../../../src/executors/gpu/gpu-offer.js'
import { createFleet } from '../../../src/queue/fleet/fleet.js'
import type { RedisLink } from '../../../src/queue/redis/open-redis.js'
import { PoolDouble } from '../../detector/models/pool-double.js'

/** Of things that services share: what they leave on them belongs to no process, timer or connection of their own. */
export type SharedThings = {
  /** The link, on which subscriptions and listeners are counted. */
  readonly link: RedisLink
  readonly gpus: {
    readonly offer: GpuOffer
    readonly whole: GpuOffer
    setAside(): void
    onChange(listener: (offer: GpuOffer) => void): () => void
  }
  /** Reads which parts have logged that they started and not yet that they stopped. */
  readonly log: Logger
  /** A sentence part for each thing that is on them now. */
  list(): Promise<string[]>
}

type End = () => unknown

export function watchSharedThings(redis: RedisLink): SharedThings {
  const counted = new Map<string, number>()
  const add = (what: string, by: number) => counted.set(what, (counted.get(what) ?? 0) + by)

  function count(what: string, end: End): End {
    let isOver = false
    add(what, 1)
    return () => {
      if (!isOver) add(what, -1)
      isOver = true
      return end()
    }
  }

  function readLine(line: string): void {
    const { msg } = JSON.parse(line) as { readonly msg: string }
    const [, part, what] = /^(.*) (started|stopped)$/.exec(msg) ?? []
    if (part === undefined) return
    const name = `the log of a ${part} that has not stopped`
    if (what === 'started') add(name, 1)
    else if ((counted.get(name) ?? 0) > 0) add(name, -1) // else it ended while it started
  }

  return {
    log: createLogger({ destination: { write: readLine } }),
    link: {
      ...redis,
      onReconnect: (listener) => count('a listener to reconnects', redis.onReconnect(listener)) as () => void,
      async subscribe(channel, listener, options) {
        const subscription = await redis.subscribe(channel, listener, options)
        const close = count(`a subscription to ${channel}`, () => subscription.close())
        return { close: async () => void (await close()) }
      },
    },
    gpus: {
      offer: { state: 'none', reason: 'a test' },
      whole: { state: 'none', reason: 'a test' },
      setAside: () => undefined,
      onChange: () => count('a listener to the GPUs', () => undefined) as () => void,
    },
    async list() {
      return [
        ...[...counted].flatMap(([what, times]) => numbered(what, times)),
        ...listenersOf(process, 'the process'),
        ...listenersOf(redis.client, 'the link to Redis'),
        ...(await connectionsAt(redis)),
        ...(await announcedAt(redis)),
        ...numbered('the threads of a model', PoolDouble.open.size),
      ]
    },
  }
}

function listenersOf(emitter: EventEmitter, name: string): string[] {
  return emitter
    .eventNames()
    .flatMap((event) => numbered(`a listener to "${String(event)}" of ${name}`, emitter.listenerCount(event)))
}

/** As Redis sees them: also those of this process that keep it alive no longer. */
async function connectionsAt({ client }: RedisLink): Promise<string[]> {
  const clients = String(await client.client('LIST'))
    .trim()
    .split('\n')
  const channels = (await client.pubsub('CHANNELS')) as string[]
  const ids = clients.map((line) => /^id=(\d+)/.exec(line)?.[1])
  return [
    ...ids.map((id) => `the connection ${id} to Redis`),
    ...channels.map((name) => `the channel ${name} in Redis`),
  ]
}

async function announcedAt(redis: RedisLink): Promise<string[]> {
  const fleet = createFleet(redis)
  const [hosts, nodes] = await Promise.all([fleet.hosts(), fleet.nodes()])
  return [
    ...hosts.map(({ hostId }) => `the announced host ${hostId}`),
    ...nodes.map(({ uuid }) => `the announced node ${uuid}`),
  ]
}

function numbered(what: string, times: number): string[] {
  return Array.from({ length: times }, (_, index) => `${what} (${index + 1})`)
}
