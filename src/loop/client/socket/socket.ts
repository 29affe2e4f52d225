import { backOffMs, createService, messageOf, type Service } from '../../../base/index.js'
import type { Logger } from '../../../base/logger/index.js'
import { type Answer, answerSchema, errorAnswer, type NodeType, toAnswer } from '../../protocol/index.js'
import {
  EventRefusedError,
  LoopAnswerError,
  LoopClosedError,
  type LoopSession,
  LoopSocketError,
  onAbort,
  sleepUnlessAborted,
} from '../index.js'
import { type Connection, connect } from './socket-connection.js'

export type LoopSocketOptions = {
  readonly nodeType: NodeType | 'node'
  readonly organization?: string
  readonly project?: string
  /** Longest wait between two attempts to connect. */
  readonly reconnectMaxMs?: number
  readonly connectTimeoutMs?: number
}

export type LoopSocketDeps = { readonly session: LoopSession; readonly log: Logger }

/** How long to wait for an ack, and when to give up. */
export type EmitOptions = { readonly timeoutMs?: number; readonly signal?: AbortSignal }

export type LoopSocketHandler = (...args: unknown[]) => unknown

/** A node's socket to the Loop: connects, and after every loss connects again with a fresh login, until it is stopped. */
export interface LoopSocket extends Service {
  readonly connected: boolean
  /**
   * Sends an event with its arguments and waits for the Loop's ack; a last argument with only `timeoutMs` and `signal`
   * are the options. Throws LF_LOOP_SOCKET when not connected, lost or silent, and LF_LOOP_ANSWER for a bad envelope.
   */
  emit(event: string, ...args: unknown[]): Promise<Answer>
  /** Sets the handler of an event; the envelope is made of what it returns or throws. One handler per event. */
  on(event: string, handler: LoopSocketHandler): void
  onConnect(callback: () => void): () => void
  onDisconnect(callback: (reason: string) => void): () => void
  /** Calls when the Loop asks the node to restart; this event has no answer. */
  onRestart(callback: () => void): () => void
  /** Resolves when the socket is connected. */
  whenConnected(options?: { readonly signal?: AbortSignal }): Promise<void>
  /** Closes the connection and opens a new one immediately, with a new login. */
  reconnect(): void
}

const DEFAULT_ACK_MS = 30_000

export function createLoopSocket(options: LoopSocketOptions, deps: LoopSocketDeps): LoopSocket {
  const { nodeType, organization = '', project = '', reconnectMaxMs = 5000, connectTimeoutMs = 20_000 } = options
  const { session } = deps
  const log = deps.log.child({ component: 'loop-socket' })
  const handlers = new Map<string, LoopSocketHandler>()
  const connectCallbacks = new Set<() => void>()
  const disconnectCallbacks = new Set<(reason: string) => void>()
  const restartCallbacks = new Set<() => void>()
  const pending = new Set<(error: Error) => void>()
  let connection: Connection | undefined
  /** Aborted to end the pause before the next attempt. */
  let noPause = new AbortController()
  const service = createService(
    'Loop socket',
    (signal, closers) => {
      const running = keepConnected(signal)
      closers.add('connection', async () => {
        connection?.close()
        dropConnection('stopped')
        await running
      })
    },
    { log },
  )

  async function keepConnected(signal: AbortSignal): Promise<void> {
    let lastCause = ''
    for (let failures = 0; !signal.aborted; ) {
      noPause = new AbortController()
      try {
        connection = await connectOnce(signal)
        const since = performance.now()
        lastCause = ''
        log.info({ host: session.host }, 'connected to the Loop')
        callAll(connectCallbacks)
        const reason = await connection.lost
        log.info({ reason }, 'connection to the Loop lost')
        dropConnection(reason)
        if (reason === 'io client disconnect') continue // `reconnect` was called
        // A Loop that accepts connections and drops them immediately must not get a flood of them either.
        failures = performance.now() - since > reconnectMaxMs ? 0 : failures + 1
      } catch (error) {
        if (signal.aborted) break
        failures += 1
        const cause = messageOf(error)
        const level = cause === lastCause ? 'debug' : 'warn'
        lastCause = cause
        log[level]({ err: error, failures }, 'no connection to the Loop')
      }
      const waitMs = backOffMs(failures + 1, { firstMs: 50, maxMs: reconnectMaxMs })
      await sleepUnlessAborted(waitMs, [signal, noPause.signal]).catch(() => undefined)
    }
    dropConnection('stopped')
  }

  async function connectOnce(signal: AbortSignal): Promise<Connection> {
    await session.login({ signal })
    const cookie = session.cookieHeader()
    const headers = { organization, project, nodeType, ...(cookie !== undefined && { Cookie: cookie }) }
    const { socket: url, socketPath: path } = session.address
    return connect({ url, path, ca: session.ca, headers, connectTimeoutMs, signal }, { onEvent: answerEvent })
  }

  function dropConnection(reason: string): void {
    const was = connection
    connection = undefined
    was?.close()
    for (const reject of [...pending]) reject(new LoopSocketError(`The connection to the Loop was lost: ${reason}.`))
    if (was !== undefined) callAll(disconnectCallbacks, reason)
  }

  function answerEvent(event: string, args: readonly unknown[], acknowledge?: (answer?: unknown) => void): void {
    if (event === 'restart') {
      callAll(restartCallbacks)
      return
    }
    const handler = handlers.get(event)
    if (handler === undefined) {
      log.debug({ event }, 'event without handler')
      acknowledge?.()
      return
    }
    answerOf(event, handler, args).then((answer) => acknowledge?.(answer))
  }

  async function answerOf(event: string, handler: LoopSocketHandler, args: readonly unknown[]) {
    try {
      const answer = toAnswer(await handler(...args))
      if (answer?.success === false) log.warn({ event, reason: answer.error_msg }, 'event of the Loop refused')
      return answer
    } catch (error) {
      log.warn({ event, err: error }, 'event of the Loop failed')
      return errorAnswer(messageOf(error), error instanceof EventRefusedError ? error.payload : null)
    }
  }

  function emit(event: string, ...given: unknown[]): Promise<Answer> {
    const { args, emitOptions } = splitOptions(given)
    const { timeoutMs = DEFAULT_ACK_MS, signal } = emitOptions
    const current = connection
    if (signal?.aborted === true) return Promise.reject(signal.reason)
    if (current?.connected !== true) {
      return Promise.reject(new LoopSocketError(`"${event}" cannot be sent: there is no connection to the Loop.`))
    }
    return new Promise((resolve, reject) => {
      const lost = (error: Error) => settle(() => reject(error))
      const timer = setTimeout(() => {
        lost(new LoopSocketError(`The Loop did not answer "${event}" for ${timeoutMs / 1000} s.`, { event, timeoutMs }))
      }, timeoutMs)
      function settle(then: () => void) {
        clearTimeout(timer)
        pending.delete(lost)
        off()
        then()
      }
      pending.add(lost)
      const off = onAbort(signal === undefined ? [] : [signal], (reason) => settle(() => reject(reason)))
      current.send(event, args, (answer) => settle(() => resolveAnswer(event, answer, resolve, reject)))
    })
  }

  function callAll<Args extends unknown[]>(callbacks: ReadonlySet<(...args: Args) => void>, ...args: Args): void {
    for (const callback of [...callbacks]) {
      try {
        callback(...args)
      } catch (error) {
        log.error({ err: error }, 'a listener of the socket failed') // the connection must not end by it
      }
    }
  }

  return {
    get connected() {
      return connection?.connected === true
    },
    emit,
    on: (event, handler) => void handlers.set(event, handler),
    onConnect: (callback) => subscribe(connectCallbacks, callback),
    onDisconnect: (callback) => subscribe(disconnectCallbacks, callback),
    onRestart: (callback) => subscribe(restartCallbacks, callback),
    whenConnected({ signal } = {}) {
      if (connection?.connected === true) return Promise.resolve()
      return new Promise((resolve, reject) => {
        const signals = [service.signal, ...(signal === undefined ? [] : [signal])]
        const unsubscribe = subscribe(connectCallbacks, () => {
          off()
          unsubscribe()
          resolve()
        })
        const off = onAbort(signals, (reason) => {
          unsubscribe()
          reject(reason)
        })
      })
    },
    reconnect() {
      noPause.abort()
      connection?.close()
    },
    start: service.start,
    stop: (reason = new LoopClosedError()) => service.stop(reason),
    [Symbol.asyncDispose]: () => service.stop(new LoopClosedError()),
  }
}

function subscribe<T>(set: Set<T>, callback: T): () => void {
  set.add(callback)
  return () => void set.delete(callback)
}

function resolveAnswer(
  event: string,
  answer: unknown,
  resolve: (answer: Answer) => void,
  reject: (error: Error) => void,
): void {
  const parsed = answerSchema.safeParse(answer)
  if (parsed.success) resolve(parsed.data)
  else reject(new LoopAnswerError({ call: `"${event}"`, problem: 'it is no envelope with success and error_msg' }))
}

/** Options may be the first or the last argument; no message of the protocol has only these keys. */
function splitOptions(given: readonly unknown[]): {
  readonly args: readonly unknown[]
  readonly emitOptions: EmitOptions
} {
  const last = given.at(-1)
  if (isEmitOptions(last)) return { args: given.slice(0, -1), emitOptions: last }
  const [first] = given
  if (isEmitOptions(first)) return { args: given.slice(1), emitOptions: first }
  return { args: given, emitOptions: {} }
}

function isEmitOptions(value: unknown): value is EmitOptions {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const keys = Object.keys(value)
  return keys.length > 0 && keys.every((key) => key === 'timeoutMs' || key === 'signal')
}
