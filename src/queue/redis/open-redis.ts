import { setTimeout as sleep } from 'node:timers/promises'
import type { Redis, RedisOptions } from 'ioredis'
import { type LoopfleetError, messageOf } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import {
  createFailoverRule,
  type FailoverRule,
  isCut,
  isForbidden,
  isLoginRefusal,
  noteRefusal,
  onFailedAttempt,
  parseRedisUrl,
  type RedisAddress,
  RedisForbiddenError,
  RedisUnfitError,
  RedisUnreachableError,
  refusalOf,
  reportRefusals,
  type WriteAnswer,
  whyNoConnection,
} from '../redis-basics/index.js'
import { watchConnections } from './connection-watch.js'
import { type Condition, createProbe, type Probe } from './probe.js'
import { checkReading, checkWriting } from './redis-checks.js'
import { RedisClient } from './redis-client.js'
import { errorAtWork, isAtWork, type Outages, watchOutages } from './redis-outages.js'
import { createSubscriptions, type Subscriptions } from './subscriptions.js'

/** Every key and BullMQ queue starts with it; the braces keep all of them on one slot of a Redis Cluster. */
const KEY_PREFIX = '{loopfleet}'

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
  /** Why Redis cannot be used now, as far as is known; a sentence, for those that would otherwise wait for it. */
  problem(): string | undefined
  /** The same, but asks Redis: one that hangs is found within two seconds. */
  check(): Promise<string | undefined>
  /** The same as an error, with the way out, for a caller that does not wait. */
  whyUnusable(): Promise<LoopfleetError | undefined>
  /** What Redis answers to writes, though nothing is written. Throws when it cannot be asked. */
  tryWrites(): Promise<WriteAnswer>
  close(): Promise<void>
  /** Closes it without waiting for answers, which then never come. */
  leave(): void
}

export type OpenRedisOptions = {
  readonly connectTimeoutMs?: number
  /** Whether a Redis that is loading its data set is waited for beyond that; true by default. */
  readonly waitsForLoading?: boolean
  /** How often to look for connections that have fallen silent. */
  readonly lookMs?: number
  /** 'read' also takes a Redis that rejects writes (a replica, one that is full), and must not be written to. */
  readonly access?: 'read' | 'write'
  /** Ends the attempt to connect. */
  readonly signal?: AbortSignal
}

const CONNECT_MS = 10_000
const LOOK_MS = 1_000
/** So long before it gives up, Redis is asked whether it is loading. */
const ASK_MS = 1_500
const QUIT_MS = 2_000

/**
 * Connects and checks that trainings are safe there; throws LF_REDIS_UNREACHABLE or LF_REDIS_UNFIT. From then on it
 * reconnects by itself indefinitely, and commands wait for that.
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
  const { access = 'write', lookMs } = options
  const probe = createProbe(client, { prefix: KEY_PREFIX })
  const outages = watchOutages(client, { url: address.shown, ...(lookMs && { everyMs: lookMs }) }, { probe, log })
  try {
    await connect(client, address, options, probe)
    if (access !== 'read') await untilWritesAreAnswered(probe, address, options)
    await check(client, address, options, log)
  } catch (error) {
    outages.close()
    client.close()
    throw error
  }
  reportRefusals(client, address.shown, log)
  return createLink(client, { address, access, rule, outages, probe, lookMs }, log)
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

async function connect(
  client: Redis,
  address: RedisAddress,
  options: OpenRedisOptions,
  probe: Pick<Probe, 'condition'>,
): Promise<void> {
  const { connectTimeoutMs: timeoutMs = CONNECT_MS, waitsForLoading = true, signal } = options
  let lastError: Error | undefined
  let condition: Condition | undefined
  let isOver = false
  let fail: () => void = () => undefined
  const failed = new Promise<never>((_resolve, reject) => {
    fail = () => reject(lastError)
  })
  const stopListening = onFailedAttempt(client, (error) => {
    lastError = error
    if (isLoginRefusal(error)) fail()
  })
  const until = performance.now() + timeoutMs
  const giveUp = async () => {
    condition = await probe.condition()
    if (isOver) return
    if (condition !== 'loading' || !waitsForLoading) timer = setTimeout(() => fail(), until - performance.now())
    else timer = setTimeout(() => void giveUp(), LOOK_MS)
  }
  let timer = setTimeout(() => void giveUp(), timeoutMs - ASK_MS)
  const onAbort = () => fail()
  if (signal?.aborted === true) fail()
  signal?.addEventListener('abort', onAbort, { once: true })
  const ready = new Promise<void>((resolve) => client.once('ready', resolve))
  client.connect().catch(() => undefined) // a first failure is retried; the error event has told why
  try {
    await Promise.race([ready, failed])
  } catch {
    if (isAtWork(condition)) throw errorAtWork(address.shown, condition)
    const why = lastError === undefined ? silenceOf(client, timeoutMs) : await whyAtStart(lastError, client)
    throw new RedisUnreachableError({ url: address.shown, ...why }, lastError)
  } finally {
    isOver = true
    clearTimeout(timer)
    signal?.removeEventListener('abort', onAbort)
    failed.catch(() => undefined)
    stopListening()
  }
}

/** A pause of writes lasts as long as somebody has asked for, so it is waited for as a connection is. */
async function untilWritesAreAnswered(
  probe: Pick<Probe, 'tryWrites'>,
  { shown: url }: RedisAddress,
  { connectTimeoutMs = CONNECT_MS, signal }: OpenRedisOptions,
): Promise<void> {
  const until = performance.now() + connectTimeoutMs
  for (;;) {
    const { refusal: refused } = await probe.tryWrites().catch((error: unknown) => {
      throw new RedisUnreachableError({ url, reason: messageOf(error) }, error)
    })
    const refusal = refusalOf(new Error(refused))
    if (refusal?.code !== 'WITHHELD') return // the checks name what else is wrong
    if (signal?.aborted === true || performance.now() > until)
      throw new RedisUnfitError({ url, fault: `takes no writes: ${refusal.fault}`, wayOut: refusal.wayOut })
  }
}

type Why = { readonly reason: string; readonly wayOut?: string }

async function whyAtStart(error: Error, client: Redis): Promise<Why> {
  const { reason, fault, wayOut } = await whyNoConnection(error, client.options)
  const way = wayOut === undefined ? {} : { wayOut }
  if (fault === 'refuses connections' || fault === 'refuses commands')
    return { reason: `it ${fault}: ${reason}`, ...way }
  const isPlain = client.options.tls === undefined
  return { reason: isCut(error) && isPlain ? `${reason}; if it speaks TLS, it is rediss://` : reason, ...way }
}

function silenceOf(client: Redis, timeoutMs: number): Why {
  const silence = `no answer within ${timeoutMs / 1000} s`
  // A Redis without TLS waits for the end of a line that a TLS greeting does not have.
  const reason =
    client.options.tls === undefined ? silence : `${silence}; if it speaks no TLS, it is redis://, not rediss://`
  return { reason }
}

type LinkOptions = {
  readonly address: RedisAddress
  readonly access: RedisLink['access']
  readonly rule: FailoverRule
  readonly outages: Outages
  readonly probe: Probe
  readonly lookMs: number | undefined
}

function createLink(client: RedisClient, options: LinkOptions, log: Logger): RedisLink {
  const { address, access, rule, outages, probe, lookMs } = options
  const duplicates = new Set<RedisClient>()
  let isClosed = false
  const watch = watchConnections({ url: address.shown, lookMs }, { probe, log })
  watch.add(client)
  if (access !== 'read') {
    rule.begin({
      onRefused: (refusal) => noteRefusal(client, refusal, 'the connection'),
      // Those that only read were not refused, and are still where they were.
      onSettled: watch.reconnectOlder,
      tryWrites: probe.tryWrites,
    })
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
    outages.close()
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
    problem: outages.problem,
    check: outages.check,
    whyUnusable: outages.whyUnusable,
    tryWrites: probe.tryWrites,
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
