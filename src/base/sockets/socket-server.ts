import type { IncomingMessage } from 'node:http'
import { Server } from 'socket.io'
import { type HttpServer, keepUpgradesTo } from '../http/index.js'

export type SocketServerOptions = {
  /** Where clients connect, without a slash at its end. */
  readonly path: string
  readonly maxMessageBytes: number
  /** Lets pages of any origin connect, and polling pages read the answers. */
  readonly anyPage?: boolean
  /** Why a connection is refused beside the rules about pages and names, or undefined. */
  readonly refusalOf?: (request: IncomingMessage) => string | undefined
}

/** A socket.io server on the port of an HTTP server, with the same rules about pages and names. */
export function createSocketServer(options: SocketServerOptions, { app, origins }: HttpServer): Server {
  const { path, anyPage = false, refusalOf = () => undefined } = options
  const sockets = new Server(app.server, {
    path,
    maxHttpBufferSize: options.maxMessageBytes,
    perMessageDeflate: false, // images do not shrink
    httpCompression: false,
    serveClient: false,
    destroyUpgrade: false, // other requests with an Upgrade header are answered
    ...(anyPage && { cors: { origin: true } }),
    allowRequest: (request, done) => {
      const refusal = origins.ofSocket(request, { anyPage }) ?? refusalOf(request)
      done(refusal ?? null, refusal === undefined)
    },
  })
  keepUpgradesTo(path, app.server, (request, socket, head) => sockets.engine.handleUpgrade(request, socket, head))
  return sockets
}
