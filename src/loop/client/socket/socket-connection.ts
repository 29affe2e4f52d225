import { io, type Socket } from 'socket.io-client'
import { messageOf } from '../../../base/index.js'
import { LoopSocketError, onAbort } from '../index.js'
import { diagnoseSocket } from './socket-diagnosis.js'

export type ConnectionOptions = {
  /** `ws://host` or `wss://host`. */
  readonly url: string
  readonly path: string
  readonly ca: string | undefined
  readonly headers: Readonly<Record<string, string>>
  readonly connectTimeoutMs: number
  readonly signal: AbortSignal
}

export type ConnectionEvents = {
  onEvent(event: string, args: readonly unknown[], acknowledge: ((answer?: unknown) => void) | undefined): void
}

/** One connection; it does not reconnect by itself, since the next one needs a new login. */
export type Connection = {
  readonly connected: boolean
  readonly lost: Promise<string>
  /** Sends an event and calls back with the ack's first argument. */
  send(event: string, args: readonly unknown[], onAck: (answer: unknown) => void): void
  close(): void
}

/** Connects over WebSocket, or by long polling where that is impossible. Throws LF_LOOP_SOCKET. */
export async function connect(options: ConnectionOptions, events: ConnectionEvents): Promise<Connection> {
  options.signal.throwIfAborted()
  const socket = io(options.url.replace(/^ws/, 'http'), {
    path: options.path,
    transports: ['websocket', 'polling'],
    tryAllTransports: true,
    extraHeaders: { ...options.headers },
    ...(options.ca !== undefined && { ca: options.ca }),
    forceNew: true,
    reconnection: false,
    timeout: options.connectTimeoutMs,
    autoConnect: false,
  })
  // Before it connects: the Loop may send an event together with its greeting.
  socket.onAny((event: string, ...args: unknown[]) => {
    const last = args.at(-1)
    if (!isFunction(last)) return events.onEvent(event, args, undefined)
    events.onEvent(event, args.slice(0, -1), (answer) => {
      // An answer on a closed connection would never be sent, and socket.io would keep it in memory.
      if (!socket.connected) return
      if (answer === undefined) last()
      else last(answer)
    })
  })
  try {
    await opened(socket, options)
  } catch (error) {
    close(socket)
    options.signal.throwIfAborted()
    throw new LoopSocketError(
      `The socket of the Loop at ${options.url} cannot be opened: ${await causeOf(error, options)}.`,
    )
  }
  const lost = new Promise<string>((resolve) => {
    if (!socket.connected) resolve('closed immediately')
    socket.once('disconnect', (reason) => {
      close(socket)
      resolve(reason)
    })
  })
  return {
    get connected() {
      return socket.connected
    },
    lost,
    send: (event, args, onAck) => void socket.emit(event, ...args, onAck),
    close: () => close(socket),
  }
}

function opened(socket: Socket, { signal, connectTimeoutMs }: ConnectionOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const refused = (error: Error) => settle(() => reject(error))
    const silent = () => refused(new Error(`no answer for ${connectTimeoutMs / 1000} s`))
    const timer = setTimeout(silent, connectTimeoutMs)
    function settle(then: () => void) {
      clearTimeout(timer)
      off()
      socket.off('connect').off('connect_error')
      then()
    }
    const off = onAbort([signal], (reason) => settle(() => reject(reason)))
    socket.once('connect', () => settle(resolve))
    socket.once('connect_error', refused)
    socket.connect()
  })
}

const DIAGNOSIS_MS = 5000

// Only a sentence is kept: the error of a transport holds the request with its cookie.
async function causeOf(
  error: unknown,
  { url, path, ca, headers, connectTimeoutMs }: ConnectionOptions,
): Promise<string> {
  const message = messageOf(error)
  if (isRefusal(error)) return `the Loop refused the connection (${message.replace(/\.$/, '')})`
  const timeoutMs = Math.min(connectTimeoutMs, DIAGNOSIS_MS)
  return (await diagnoseSocket({ url, path, ca, headers, timeoutMs })) ?? message
}

/** Whether the Loop refused the connection; socket.io adds a field for the Loop's data to such an error. */
function isRefusal(error: unknown): boolean {
  return error instanceof Error && 'data' in error
}

function close(socket: Socket): void {
  socket.offAny()
  socket.disconnect()
  socket.io.engine?.close()
}

function isFunction(value: unknown): value is (answer?: unknown) => void {
  return typeof value === 'function'
}
