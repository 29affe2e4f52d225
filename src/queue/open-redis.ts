import { setTimeout as sleep } from 'node:timers/promises'
import { Redis, type RedisOptions } from 'ioredis'
import { messageOf } from '../base/errors.js'
import type { Logger } from '../base/logger.js'
import { watchConnections } from './connection-watch.js'
import { joinWrites } from './join-writes.js'
import { KEY_PREFIX } from './names.js'
import { checkRedis } from './redis-checks.js'
import { RedisUnreachableError } from './redis-errors.js'
import { parseRedisUrl, type RedisAddress } from './redis-url.js'
import { shareScripts } from './share-scripts.js'
import { createSubscriptions, type Subscriptions } from './subscriptions.js'

/** The one connection of a process to Redis; what needs a connection of its own duplicates it. */
export type RedisLink = {
  /** Where Redis is, without a password. */
  readonly url: string
  /** All keys start with it. */
  readonly prefix: string
  readonly client: Redis
  /** For BullMQ, which shares it and never closes it. */
  connection(): Redis
  duplicate(options?: RedisOptions): Redis
  readonly subscribe: Subscriptions['subscribe']
  /** Calls back each time Redis is back after an outage; returns what ends that. */
  onReconnect(listener: () => void): () => void
  close(): Promise<void>
}

export type OpenRedisOptions = {
  readonly connectTimeoutMs?: number
  /** How often to look for connections that have fallen silent. */
  readonly lookMs?: number
}

const ONCE_MS = 5_000
const QUIT_MS = 2_000

/**
 * Connects and checks that trainings are safe there; throws LF_REDIS_UNREACHABLE or LF_REDIS_UNFIT. From then on it
 * reconnects by itself for ever, and commands wait for that.
 */
export async function openRedis(
  url: string,
  deps: { readonly log: Logger },
  options: OpenRedisOptions = {},
): Promise<RedisLink> {
  const log = deps.log.child({ component: 'redis' })
  const address = parseRedisUrl(url)
  const client = createClient(address)
  joinWrites(client)
  shareScripts(client)
  reportOutages(client, address.shown, log)
  try {
    await connect(client, address, options.connectTimeoutMs ?? 10_000)
    await checkRedis(client, { shown: address.shown, prefix: KEY_PREFIX }, { log })
  } catch (error) {
    client.disconnect()
    throw error
  }
  return createLink(client, { address, lookMs: options.lookMs }, log)
}

function createClient(address: RedisAddress): Redis {
  const options: RedisOptions = {
    ...address.options,
    maxRetriesPerRequest: null, // commands wait for Redis instead of failing
    retryStrategy: (attempt) => Math.min(attempt * 50, 1_000),
    // While Redis reads its file it names an estimate, in whole seconds and at first wildly wrong: ioredis would wait
    // ten seconds for what takes some milliseconds.
    maxLoadingRetryTime: 100,
    disconnectTimeout: 500, // what never got a connection is waited for as long
    lazyConnect: true,
  }
  return address.url === undefined ? new Redis(options) : new Redis(address.url, options)
}

async function connect(client: Redis, address: RedisAddress, timeoutMs: number): Promise<void> {
  let lastError: Error | undefined
  let fail: () => void = () => undefined
  const failed = new Promise<never>((_resolve, reject) => {
    fail = () => {
      const reason = lastError === undefined ? `no answer within ${timeoutMs / 1000} s` : reasonOf(lastError)
      reject(new RedisUnreachableError({ url: address.shown, reason }, lastError))
    }
  })
  const onError = (error: Error) => {
    lastError = error
    if (isRefusal(error)) fail()
  }
  client.on('error', onError)
  const timer = setTimeout(() => fail(), timeoutMs)
  const ready = new Promise<void>((resolve) => client.once('ready', resolve))
  client.connect().catch(() => undefined) // a first failure is retried; the error event has told why
  try {
    await Promise.race([ready, failed])
  } finally {
    clearTimeout(timer)
    failed.catch(() => undefined)
    client.off('error', onError)
  }
}

/** What the driver says about the three commonest mistakes names neither the mistake nor the way out. */
function reasonOf(error: Error): string {
  const message = messageOf(error)
  if (message.includes('Unknown RESP type')) return 'what answers there is no Redis'
  if (/wrong version number|packet length too long/.test(message))
    return 'it speaks no TLS, so it is redis://, not rediss://'
  if (message.startsWith('NOAUTH')) return 'NOAUTH, it asks for a password (redis://:PASSWORD@host:6379)'
  return message
}

// A wrong password does not get better by waiting.
function isRefusal(error: Error): boolean {
  return /WRONGPASS|NOAUTH|NOPERM|invalid (username-)?password|without any password|DB index/i.test(error.message)
}

function reportOutages(client: Redis, url: string, log: Logger): void {
  let isAway = false
  client.on('error', (error: Error) => {
    if (!isAway) log.warn({ url, err: error }, 'Redis is away; waiting for it')
    isAway = true
  })
  client.on('ready', () => {
    if (isAway) log.info({ url }, 'Redis is back')
    isAway = false
  })
}

type LinkOptions = { readonly address: RedisAddress; readonly lookMs: number | undefined }

function createLink(client: Redis, { address, lookMs }: LinkOptions, log: Logger): RedisLink {
  const duplicates = new Set<Redis>()
  const duplicateUntracked = client.duplicate.bind(client)
  const watch = watchConnections({ url: address.shown, lookMs }, { connectOnce, log })
  watch.add(client)

  function connectOnce(): Redis {
    const limits = { connectTimeout: ONCE_MS, commandTimeout: ONCE_MS, retryStrategy: () => null }
    return duplicateUntracked({ ...limits, lazyConnect: true, enableReadyCheck: false })
  }

  function duplicate(options: RedisOptions = {}): Redis {
    const copy = duplicateUntracked({ lazyConnect: false, ...options })
    shareScripts(copy)
    // BullMQ ends its own at times and connects them again.
    const keep = () => {
      duplicates.add(copy)
      watch.add(copy, { ends: true })
    }
    keep()
    copy.on('error', (error: Error) => log.debug({ err: error }, 'a connection to Redis failed'))
    copy.on('connecting', keep)
    copy.on('end', () => {
      duplicates.delete(copy)
      watch.remove(copy)
    })
    return copy
  }
  // BullMQ makes its blocking connections so; what it cannot close while Redis is away, the link closes.
  client.duplicate = duplicate
  const subscriptions = createSubscriptions(duplicate)
  const reconnectListeners = new Set<() => void>()
  client.on('ready', () => {
    for (const listener of reconnectListeners) listener()
  })
  return {
    url: address.shown,
    prefix: KEY_PREFIX,
    client,
    connection: () => client,
    duplicate,
    subscribe: subscriptions.subscribe,
    onReconnect(listener) {
      reconnectListeners.add(listener)
      return () => reconnectListeners.delete(listener)
    },
    async close() {
      watch.close()
      subscriptions.close()
      for (const copy of duplicates) endConnection(copy)
      if (client.status === 'ready') await quit(client)
      endConnection(client)
    },
  }
}

// What was sent before is answered first, but a Redis that hangs is not waited for.
async function quit(client: Redis): Promise<void> {
  const enough = new AbortController()
  const tooLong = sleep(QUIT_MS, undefined, { signal: enough.signal }).catch(() => undefined)
  await Promise.race([client.quit().catch(() => undefined), tooLong]) // it may go away in this moment
  enough.abort()
}

// While ioredis waits to reconnect, its disconnect stops the timer but tells nobody: what waits for an answer or for
// the end would do so for ever. One more attempt, that fails or is cut, ends it properly.
function endConnection(client: Redis): void {
  client.disconnect()
  if (client.status !== 'reconnecting') return
  client.once('connect', () => client.disconnect())
  client.connect().catch(() => undefined)
}
