import type { Server, Socket } from 'socket.io'
import type { HttpServer } from '../../base/http/index.js'
import { LoopfleetError } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import { createSocketServer } from '../../base/sockets/index.js'
import type { Dialect } from '../../loop/protocol/index.js'
import { ClientGoneError } from './client-signal.js'
import { type ErrorAnswer, toErrorAnswer } from './error-answer.js'
import type { ServerLimits } from './limits.js'
import type { RequestWatch } from './metrics.js'
import type { SocketEventHandler } from './socket-events.js'

export type DetectorSocketOptions = { readonly dialect: Dialect; readonly limits: ServerLimits }

export type DetectorSocketDeps = {
  readonly http: HttpServer
  readonly events: Readonly<Record<string, SocketEventHandler>>
  readonly watch: RequestWatch
  readonly log: Logger
}

/** The detector's socket at `/ws/socket.io`: every event is answered, and an error ends nothing but its own request. */
export function createDetectorSocket(options: DetectorSocketOptions, deps: DetectorSocketDeps): Server {
  const { dialect, limits } = options
  const { events, watch, log } = deps
  const sockets = createSocketServer(
    // Releases of dialect 0.8 let any page in, later ones only those of their own origin.
    { path: '/ws/socket.io', maxMessageBytes: limits.maxBodyBytes, anyPage: dialect === '0.8' },
    deps.http,
  )
  sockets.on('connection', (socket) => {
    log.debug({ socketId: socket.id }, 'client connected')
    const gone = new AbortController()
    socket.once('disconnect', (reason, description) => {
      gone.abort(new ClientGoneError())
      log.debug({ socketId: socket.id, reason }, 'client disconnected')
      if (isTooLarge(description)) {
        const facts = { client: socket.handshake.address, maxBytes: limits.maxBodyBytes }
        log.warn(facts, 'a client sent a message beyond the limit and was disconnected')
      }
    })
    // The name of an event may also be a number.
    socket.onAny((event: unknown, ...args: unknown[]) => void answer(socket, gone.signal, String(event), args))
  })

  async function answer(socket: Socket, signal: AbortSignal, event: string, args: readonly unknown[]): Promise<void> {
    const last = args.at(-1)
    const acknowledge = typeof last === 'function' ? last : undefined
    const [payload] = acknowledge === undefined ? args : args.slice(0, -1)
    const result = await resultOf(event, payload, signal)
    if (acknowledge === undefined || !socket.connected) return
    if (result === undefined) acknowledge()
    else acknowledge(result)
  }

  async function resultOf(event: string, payload: unknown, signal: AbortSignal): Promise<unknown> {
    const handler = Object.hasOwn(events, event) ? events[event] : undefined
    const done = watch('socket', handler === undefined ? 'unknown' : event)
    try {
      if (handler === undefined) {
        done(404)
        return { error: `There is no event "${event.slice(0, 60)}".` }
      }
      const result = await handler(payload, signal)
      done(200)
      return result
    } catch (error) {
      const failure = toErrorAnswer(error)
      done(failure.status)
      if (failure.isOurs) log.error({ err: error, event }, 'event failed')
      else log.debug({ event, reason: failure.sentence }, 'event refused')
      return toErrorPayload(error, failure)
    }
  }

  return sockets
}

/** Such a message is never read, so it cannot be answered; the client sees no more than a closed connection. */
function isTooLarge(description: unknown): boolean {
  return description instanceof Error && description.message.includes('Max payload size exceeded')
}

function toErrorPayload(thrown: unknown, { sentence, retryAfterSeconds }: ErrorAnswer) {
  return {
    error: [knownWords(thrown), sentence].filter(Boolean).join(': '),
    ...(retryAfterSeconds !== undefined && { retry_after: retryAfterSeconds }),
  }
}

/** Words of the Python library's detector, which clients may look for. */
function knownWords(thrown: unknown): string | undefined {
  if (!(thrown instanceof LoopfleetError)) return undefined
  if (thrown.code === 'LF_DETECTOR_NO_MODEL') return 'detector not yet initialized'
  return thrown.code === 'LF_DETECTOR_UPDATING' ? `updating model to version ${thrown.details.version}` : undefined
}
