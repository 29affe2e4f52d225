import { setTimeout as sleep } from 'node:timers/promises'
import { createClosers, every } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import { pong } from '../redis-basics/index.js'
import type { Probe } from './probe.js'
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
  readonly probe: Pick<Probe, 'connectOnce' | 'condition'>
  readonly log: Logger
}

type Watched = {
  readonly ends: boolean
  /** Of the last look: one that is being made again has another one each time. */
  stream: RedisClient['stream'] | undefined
  quietLooks: number
  bytesRead: number
  isAsked: boolean
  readyAt: number
  readonly onReady: () => void
}

// Longer than any blocking read of ours (10 s), behind which a PING has to wait.
const LOOK_MS = 5_000
const QUIET_LOOKS = 3
const ANSWERS_MS = 1_000

/**
 * No connection stays silent indefinitely: one that does not get ready or does not answer, although a fresh one does, is
 * created again. ioredis itself waits without limit for the answers of its handshake, and a link that was cut without a
 * word (a NAT, a proxy, a host that vanished) is noticed by the kernel only after a quarter of an hour.
 */
export function watchConnections(options: ConnectionWatchOptions, deps: ConnectionWatchDeps): ConnectionWatch {
  const { probe, log } = deps
  const watched = new Map<RedisClient, Watched>()
  const closers = createClosers(log)
  const lookMs = options.lookMs ?? LOOK_MS
  every(lookMs, lookSafely, closers, 'connection watch')

  async function lookSafely(signal: AbortSignal): Promise<void> {
    await look(signal).catch((error: unknown) => {
      if (!signal.aborted) log.warn({ err: error }, 'connections to Redis not checked')
    })
  }

  async function look(signal: AbortSignal): Promise<void> {
    for (const [client, state] of watched) note(client, state)
    if (!silent().length) return
    // While Redis does not answer anybody there is nothing to repair.
    if (!(await answersOnce(probe.connectOnce(), signal))) return
    // A connection that waits behind a withheld write, or for the end of a script, would only wait again.
    if (['withholds writes', 'busy'].includes(await probe.condition())) return
    // If Redis itself was silent until now, it answers the others as well.
    await sleep(Math.min(ANSWERS_MS, lookMs), undefined, { signal })
    for (const [client, state] of silent()) if (hasAnswered(client, state)) state.quietLooks = 0
    const connections = silent()
    if (!connections.length) return
    log.warn({ url: options.url, connections: connections.length }, 'connections to Redis are silent; connecting again')
    for (const [client, state] of connections) {
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
      const state: Watched = {
        ends,
        stream: undefined,
        quietLooks: 0,
        bytesRead: 0,
        isAsked: false,
        readyAt: performance.now(),
        onReady,
      }
      watched.set(client, state)
      client.on('ready', onReady)
    },
    remove,
    reconnectOlder(thanMs) {
      const older = [...watched].filter(([client, { readyAt }]) => client.status === 'ready' && readyAt < thanMs)
      if (!older.length) return
      log.info({ url: options.url, connections: older.length }, 'connecting older connections to Redis again')
      for (const [client] of older) client.reconnect()
    },
    close() {
      for (const client of [...watched.keys()]) remove(client)
      void closers.closeAll()
    },
  }
}

function note(client: RedisClient, state: Watched): void {
  const isSame = client.stream === state.stream
  state.stream = client.stream
  state.quietLooks = isQuiet(client, state, isSame) ? state.quietLooks + 1 : 0
  const bytesRead = client.stream?.bytesRead ?? 0
  if (client.status === 'ready' && bytesRead === state.bytesRead && isSame && !state.isAsked) ask(client, state)
  state.bytesRead = bytesRead
}

/** Only a connection that is being made, or is asked, can be silent; one that is refused is made again by ioredis. */
function isQuiet(client: RedisClient, state: Watched, isSame: boolean): boolean {
  switch (client.status) {
    case 'connecting':
    case 'connect':
      return isSame && client.stream?.bytesRead === state.bytesRead
    case 'ready':
      return isSame && state.isAsked && client.stream.bytesRead === state.bytesRead
    case 'end':
      return !state.ends
    default:
      return false
  }
}

function hasAnswered(client: RedisClient, state: Watched): boolean {
  return client.stream !== state.stream || (client.status === 'ready' && !isQuiet(client, state, true))
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
  const giveUp = () => client.close()
  signal.addEventListener('abort', giveUp, { once: true })
  try {
    await client.connect()
    await pong(client)
    return true
  } catch {
    return false
  } finally {
    signal.removeEventListener('abort', giveUp)
    client.close()
  }
}
