import { createClosers } from '../base/closers.js'
import { every } from '../base/every.js'
import type { Logger } from '../base/logger.js'
import type { RedisClient } from './redis-client.js'

export type ConnectionWatch = {
  /** Looks after it from now on; one that `ends` is closed by its user, and left alone when it is. */
  add(client: RedisClient, options?: { readonly ends?: boolean }): void
  remove(client: RedisClient): void
  /** Makes connections again that are older (`performance.now()`): they may lead to a server that is not the primary any more. */
  reconnectOlder(thanMs: number): void
  close(): void
}

export type ConnectionWatchOptions = {
  /** For people: never with a password. */
  readonly url: string
  /** How often to look; what stays silent for three looks is asked about. */
  readonly lookMs?: number
}

export type ConnectionWatchDeps = {
  /** A further connection that gives up by itself. */
  readonly connectOnce: () => RedisClient
  readonly log: Logger
}

type Watched = {
  readonly ends: boolean
  quietLooks: number
  bytesRead: number
  isAsked: boolean
  readyAt: number
  readonly onReady: () => void
}

// Longer than any blocking read of ours (10 s), behind which a PING has to wait.
const LOOK_MS = 5_000
const QUIET_LOOKS = 3

/**
 * No connection stays silent for ever: one that does not get ready or does not answer, although a fresh one does, is
 * made anew. ioredis itself waits without limit for the answers of its handshake, and a link that was cut without a
 * word (a NAT, a proxy, a host that vanished) is noticed by the kernel only after a quarter of an hour.
 */
export function watchConnections(options: ConnectionWatchOptions, deps: ConnectionWatchDeps): ConnectionWatch {
  const { connectOnce, log } = deps
  const watched = new Map<RedisClient, Watched>()
  const closers = createClosers(log)
  every(options.lookMs ?? LOOK_MS, lookSafely, closers, 'connection watch')

  async function lookSafely(signal: AbortSignal): Promise<void> {
    await look(signal).catch((error: unknown) => log.warn({ err: error }, 'connections to Redis not checked'))
  }

  async function look(signal: AbortSignal): Promise<void> {
    for (const [client, state] of watched) note(client, state)
    if (!silent().length) return
    // While Redis is away, or reads its file, there is nothing to mend.
    if (!(await answersOnce(connectOnce(), signal))) return
    for (const [client, state] of silent()) {
      log.warn({ url: options.url, status: client.status }, 'a connection to Redis is silent; connecting again')
      Object.assign(state, { quietLooks: 0, isAsked: false })
      client.reconnect()
    }
  }

  function remove(client: RedisClient): void {
    const state = watched.get(client)
    if (state !== undefined) client.off('ready', state.onReady)
    watched.delete(client)
  }

  function silent() {
    return [...watched].filter(([, { quietLooks }]) => quietLooks >= QUIET_LOOKS)
  }

  return {
    add: (client, { ends = false } = {}) => {
      if (watched.has(client)) return
      const onReady = () => {
        state.readyAt = performance.now()
      }
      const state = { ends, quietLooks: 0, bytesRead: 0, isAsked: false, readyAt: performance.now(), onReady }
      watched.set(client, state)
      client.on('ready', onReady)
    },
    remove,
    reconnectOlder(thanMs) {
      const older = [...watched].filter(([client, { readyAt }]) => client.status === 'ready' && readyAt < thanMs)
      log.info({ url: options.url, connections: older.length }, 'another Redis is the primary now; connecting again')
      for (const [client] of older) client.reconnect()
    },
    close() {
      for (const client of [...watched.keys()]) remove(client)
      void closers.closeAll()
    },
  }
}

function note(client: RedisClient, state: Watched): void {
  if (client.status === 'wait' || (client.status === 'end' && state.ends)) {
    state.quietLooks = 0
    return
  }
  if (client.status !== 'ready') {
    state.quietLooks += 1
    return
  }
  const { bytesRead } = client.stream
  const isQuiet = bytesRead === state.bytesRead
  state.quietLooks = isQuiet && state.isAsked ? state.quietLooks + 1 : 0
  state.bytesRead = bytesRead
  if (isQuiet && !state.isAsked) ask(client, state)
}

function ask(client: RedisClient, state: Watched): void {
  state.isAsked = true
  const answered = () => {
    state.isAsked = false
  }
  client.ping().then(answered, answered)
}

async function answersOnce(client: RedisClient, signal: AbortSignal): Promise<boolean> {
  client.on('error', () => undefined) // told by the answer
  const giveUp = () => client.disconnect()
  signal.addEventListener('abort', giveUp, { once: true })
  try {
    await client.connect()
    return (await client.ping()) === 'PONG'
  } catch {
    return false
  } finally {
    signal.removeEventListener('abort', giveUp)
    client.disconnect()
  }
}
