import { Server, type Socket } from 'socket.io'
import { type HttpLoop, type Reply, type SeenRequest, startHttpLoop } from './http-loop.js'

export type SocketLoop = HttpLoop & {
  readonly io: Server
  /** All connections so far, with the headers of their handshakes. */
  readonly sockets: Socket[]
  /** Resolves with the n-th connection, counted from 1. */
  connection(count: number): Promise<Socket>
}

export type SocketLoopOptions = {
  readonly rest?: (request: SeenRequest) => Reply
  readonly transports?: ('polling' | 'websocket')[]
  /** Refuses a handshake by its answer. */
  readonly refuse?: (socket: Socket) => string | undefined
  /** What the Loop does with a fresh connection. */
  readonly onConnect?: (socket: Socket) => void
}

/** A Loop with its socket, where the test plays the Loop's part. */
export async function startSocketLoop(options: SocketLoopOptions = {}): Promise<SocketLoop> {
  const loop = await startHttpLoop(options.rest ?? (() => ({})))
  const io = new Server({
    path: '/ws/socket.io/',
    transports: options.transports ?? ['polling', 'websocket'],
    serveClient: false,
  })
  const sockets: Socket[] = []
  const waiting = new Set<() => void>()
  // Engine.IO goes in front of the test's own answers, which would otherwise see its requests too.
  const [serveRest] = loop.server.listeners('request')
  loop.server.removeAllListeners('request')
  if (serveRest !== undefined)
    loop.server.on('request', (...args: unknown[]) => Reflect.apply(serveRest, loop.server, args))
  io.attach(loop.server)
  io.use((socket, next) => {
    const refusal = options.refuse?.(socket)
    next(refusal === undefined ? undefined : new Error(refusal))
  })
  io.on('connection', (socket) => {
    sockets.push(socket)
    options.onConnect?.(socket)
    for (const tell of waiting) tell()
  })
  return {
    ...loop,
    io,
    sockets,
    connection: (count) =>
      new Promise((resolve) => {
        const look = () => {
          const socket = sockets[count - 1]
          if (socket === undefined) return
          waiting.delete(look)
          resolve(socket)
        }
        waiting.add(look)
        look()
      }),
    async close() {
      await io.close()
      await loop.close()
    },
  }
}
