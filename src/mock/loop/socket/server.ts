import type { Server as HttpServer, IncomingMessage } from 'node:http'
import { Server } from 'socket.io'
import { type NodeType, nodeTypes } from '../../../loop/protocol/index.js'
import type { LoopContext } from '../context.js'
import { onEvent } from './events.js'
import { nodeEvents } from './node-events.js'

/** The Loop's socket server, on the same port as its REST API. */
export function createSocketServer(server: HttpServer): Server {
  return new Server(server, {
    path: '/ws/socket.io',
    maxHttpBufferSize: 64e6,
    perMessageDeflate: false,
    serveClient: false,
  })
}

/** Lets nodes in: detectors always, the others with a session when this Loop has credentials. */
export function serveSockets(context: LoopContext): void {
  const { sockets, log, nodes } = context
  sockets.engine.opts.allowRequest = (request, done) => {
    const fault = isFirstRequest(request) ? context.faults.forEvent('connect') : undefined
    if (fault?.kind === 'expire-sessions') context.sessions.expireAll()
    if (fault !== undefined && fault.kind !== 'expire-sessions') return done('A fault was injected.', false)
    const isAllowed = typeOf(request) === 'detector' || context.sessions.isAllowed({ cookie: request.headers.cookie })
    done(isAllowed ? null : 'Login required.', isAllowed)
  }
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
