import { setTimeout as sleep } from 'node:timers/promises'
import type { Redis, RedisOptions } from 'ioredis'
import { messageOf } from '../base/errors.js'
import type { Logger } from '../base/logger.js'
import { watchConnections } from './connection-watch.js'
import { KEY_PREFIX } from './names.js'
import { checkReading, checkWriting } from './redis-checks.js'
import { RedisClient } from './redis-client.js'
import { RedisForbiddenError, RedisUnreachableError } from './redis-errors.js'
import { createFailoverRule, type FailoverRule, isForbidden, noteRefusal, reportRefusals } from './redis-refusals.js'
import { parseRedisUrl, type RedisAddress } from './redis-url.js'
import { createSubscriptions, type Subscriptions } from './subscriptions.js'
import { tryWrites } from './try-writes.js'

/** The one connection of a process to Redis; what needs a connection of its own duplicates it. */
export type RedisLink = {
  /** Where Redis is, without a password. */
  readonly url: string
  /** All keys start with it. */
  readonly prefix: string
  /** With 'read' nothing may be written: Redis may reject writes. */
  readonly access: 'read' | 'write'
  readonly client: Redis
  /** For BullMQ, which shares it and never closes it. */
  connection(): Redis
  duplicate(options?: RedisOptions): Redis
  readonly subscribe: Subscriptions['subscribe']
  /** Calls back each time Redis is back after an outage; returns what ends that. */
  onReconnect(listener: () => void): () => void
  close(): Promise<void>
  /** Closes it without waiting for answers, which then never come. */
  leave(): void
}

export type OpenRedisOptions = {
  readonly connectTimeoutMs?: number
  /** How often to look for connections that have fallen silent. */
  readonly lookMs?: number
  /** 'read' also takes a Redis that rejects writes (a replica, one that is full), and must not be written to. */
  readonly access?: 'read' | 'write'
  /** Ends the attempt to connect. */
  readonly signal?: AbortSignal
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
  const rule = createFailoverRule()
  const client = createClient(address, rule)
  reportOutages(client, address.shown, log)
  try {
    await connect(client, address, options)
    await check(client, address, options, log)
  } catch (error) {
    client.close()
    throw error
  }
  reportRefusals(client, address.shown, log)
  const { access = 'write', lookMs } = options
  return createLink(client, { address, access, rule, lookMs }, log)
}

async function check(client: Redis, { shown }: RedisAddress, { access }: OpenRedisOptions, log: Logger): Promise<void> {
  const about = { shown, prefix: KEY_PREFIX }
  try {
    await checkReading(client, about)
    if (access !== 'read') await checkWriting(client, about, { log })
  } catch (error) {
    if (!isForbidden(error)) throw error
    throw new RedisForbiddenError({ url: shown, user: client.options.username ?? 'default', reason: messageOf(error) })
  }
}

function createClient(address: RedisAddress, rule: FailoverRule): RedisClient {
  const options: RedisOptions & { readonly replyMapping: 'legacy' } = {
    ...address.options,
    replyMapping: 'legacy',
    maxRetriesPerRequest: null, // commands wait for Redis instead of failing
    retryStrategy: rule.retryStrategy,
    reconnectOnError: rule.reconnectOnError,
    // While Redis reads its file it names an estimate, in whole seconds and at first wildly wrong: ioredis would wait
    // ten seconds for what takes some milliseconds.
    maxLoadingRetryTime: 100,
    disconnectTimeout: 500, // what never got a connection is waited for as long
    lazyConnect: true,
  }
  return address.url === undefined ? new RedisClient(options) : new RedisClient(address.url, options)
}

async function connect(client: Redis, address: RedisAddress, options: OpenRedisOptions): Promise<void> {
  const { connectTimeoutMs: timeoutMs = 10_000, signal } = options
  let lastError: Error | undefined
  let fail: () => void = () => undefined
  const failed = new Promise<never>((_resolve, reject) => {
    fail = () => {
      const reason = lastError === undefined ? silenceOf(client, timeoutMs) : reasonOf(lastError)
      reject(new RedisUnreachableError({ url: address.shown, reason }, lastError))
    }
  })
  const onError = (error: Error) => {
    lastError = error
    if (isRefusal(error)) fail()
  }
  client.on('error', onError)
  const timer = setTimeout(() => fail(), timeoutMs)
  const onAbort = () => fail()
  if (signal?.aborted === true) fail()
  signal?.addEventListener('abort', onAbort, { once: true })
  const ready = new Promise<void>((resolve) => client.once('ready', resolve))
  client.connect().catch(() => undefined) // a first failure is retried; the error event has told why
  try {
    await Promise.race([ready, failed])
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', onAbort)
    failed.catch(() => undefined)
    client.off('error', onError)
  }
}

function silenceOf(client: Redis, timeoutMs: number): string {
  const silence = `no answer within ${timeoutMs / 1000} s`
  // A Redis without TLS waits for the end of a line that a TLS greeting does not have.
  return client.options.tls === undefined ? silence : `${silence}; if it speaks no TLS, it is redis://, not rediss://`
}

/** What the driver says about the commonest mistakes names neither the mistake nor the way out. */
function reasonOf(error: Error): string {
  const message = messageOf(error)
  if (message.includes('Unknown RESP type')) return 'what answers there is no Redis'
  if (/wrong version number|packet length too long/.test(message))
    return 'it speaks no TLS, so it is redis://, not rediss://'
  if (/ECONNRESET|EPIPE/.test(message)) return `it ends the connection (${message}); if it speaks TLS, it is rediss://`
  if (message.startsWith('NOAUTH')) return 'NOAUTH, it asks for a password (redis://:PASSWORD@host:6379)'
  if (message.startsWith('WRONGPASS'))
    return 'WRONGPASS, there is no such user, it is off, or the password is wrong (redis://USER:PASSWORD@host:6379)'
  return message
}

// A wrong password does not get better by waiting.
function isRefusal(error: Error): boolean {
  return /WRONGPASS|NOAUTH|NOPERM|invalid (username-)?password|without any password|DB index/i.test(error.message)
}

function reportOutages(client: Redis, url: string, log: Logger): void {
  let isAway = false
  client.on('error', (error: Error) => {
    if (!isAway && isRefusal(error))
      log.error({ url, reason: reasonOf(error) }, 'Redis refuses the login; waiting for it')
    else if (!isAway) log.warn({ url, reason: reasonOf(error) }, 'Redis unreachable; waiting for it')
    isAway = true
  })
  client.on('ready', () => {
    if (isAway) log.info({ url }, 'Redis reconnected')
    isAway = false
  })
}

type LinkOptions = {
  readonly address: RedisAddress
  readonly access: RedisLink['access']
  readonly rule: FailoverRule
  readonly lookMs: number | undefined
}

function createLink(client: RedisClient, { address, access, rule, lookMs }: LinkOptions, log: Logger): RedisLink {
  const duplicates = new Set<RedisClient>()
  let isClosed = false
  const watch = watchConnections({ url: address.shown, lookMs }, { connectOnce, log })
  watch.add(client)
  if (access !== 'read') {
    rule.begin({
      onRefused: (refusal) => noteRefusal(client, refusal, 'the connection'),
      // Those that only read were not refused, and are still where they were.
      onSettled: watch.reconnectOlder,
      tryWrites: tryWritesOnce,
    })
  }

  function connectOnce(): RedisClient {
    const limits = {
      connectTimeout: ONCE_MS,
      commandTimeout: ONCE_MS,
      retryStrategy: () => null,
      reconnectOnError: null,
    }
    const lazily = { lazyConnect: true, enableReadyCheck: false, replyMapping: 'legacy' } as const
    return new RedisClient({ ...client.options, ...limits, ...lazily })
  }

  async function tryWritesOnce(): Promise<string> {
    const once = connectOnce()
    once.on('error', () => undefined) // reported by the rejection
    try {
      await once.connect()
      return await tryWrites({ client: once, prefix: KEY_PREFIX })
    } finally {
      once.close()
    }
  }

  function track(copy: RedisClient): void {
    // BullMQ ends its own at times and connects them again.
    const keep = () => {
      if (isClosed) return copy.close()
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
  }
  const duplicate = (options?: RedisOptions): Redis => client.duplicate(options)
  function closeOthers(): void {
    isClosed = true
    watch.close()
    rule.close()
    subscriptions.close()
    for (const copy of duplicates) copy.close()
  }
  // What BullMQ cannot close while Redis is unreachable, the link closes.
  client.on('duplicate', track)
  const subscriptions = createSubscriptions(duplicate)
  const reconnectListeners = new Set<() => void>()
  client.on('ready', () => {
    for (const listener of reconnectListeners) listener()
  })
  return {
    url: address.shown,
    prefix: KEY_PREFIX,
    access,
    client,
    connection: () => client,
    duplicate,
    subscribe: subscriptions.subscribe,
    onReconnect(listener) {
      reconnectListeners.add(listener)
      return () => reconnectListeners.delete(listener)
    },
    async close() {
      closeOthers()
      if (client.status === 'ready') await quit(client)
      client.close()
    },
    leave() {
      closeOthers()
      client.close()
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
