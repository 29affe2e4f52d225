import type { IncomingMessage } from 'node:http'
import type { Server } from 'socket.io'
import type { HttpServer } from '../../../base/http/index.js'
import { createSocketServer } from '../../../base/sockets/index.js'
import { type NodeType, nodeTypes } from '../../../loop/protocol/index.js'
import type { LoopContext } from '../context.js'
import { onEvent } from './events.js'
import { nodeEvents } from './node-events.js'

/** The Loop's socket server, on the same port as its REST API. */
export function createLoopSocket(
  http: HttpServer,
  refusalOf: (request: IncomingMessage) => string | undefined,
): Server {
  return createSocketServer({ path: '/ws/socket.io', maxMessageBytes: 64e6, refusalOf }, http)
}

/** Detectors are let in always, the others with a session when this Loop has credentials. */
export function refusalOf(context: LoopContext, request: IncomingMessage): string | undefined {
  const fault = isFirstRequest(request) ? context.faults.forEvent('connect') : undefined
  if (fault?.kind === 'expire-sessions') context.sessions.expireAll()
  if (fault !== undefined && fault.kind !== 'expire-sessions') return 'A fault was injected.'
  const isAllowed = typeOf(request) === 'detector' || context.sessions.isAllowed({ cookie: request.headers.cookie })
  return isAllowed ? undefined : 'Login required.'
}

export function serveSockets(context: LoopContext): void {
  const { sockets, log, nodes } = context
  sockets.on('connection', (socket) => {
    const type = typeOf(socket.request)
    log.info({ nodeType: type, socketId: socket.id }, 'node connected')
    if (type === 'converter') nodes.seen(converter(socket.id))
    context.changed()
    for (const { event, count, handler } of nodeEvents(context)) onEvent(context, socket, event, count, handler)
    socket.on('disconnect', (reason) => {
      nodes.disconnected(socket.id)
      log.info({ nodeType: type, socketId: socket.id, reason }, 'node disconnected')
      context.changed()
    })
  })
}

function isFirstRequest(request: IncomingMessage): boolean {
  return !(request.url ?? '').includes('sid=')
}

function typeOf(request: IncomingMessage): NodeType {
  const given = request.headers.nodetype
  return nodeTypes.find((type) => type === given) ?? 'node'
}

/** Converters send no status, so that their socket is all that is known. */
function converter(socketId: string) {
  const shown = { id: socketId, name: 'converter', state: 'online', progress: null, errors: {}, status: {} }
  return { ...shown, type: 'converter' as const, dialect: '0.8' as const, socketId }
}
