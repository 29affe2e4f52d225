import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'

/** How far a client may go on sending after its last answer; what comes is thrown away. */
export type LingerLimits = {
  readonly maxBytes: number
  readonly maxMs: number
  /** Who sends less than `leastBytes` in so long is cut off. */
  readonly lookMs: number
  readonly leastBytes: number
}

/** Above all bodies that a client sends by mistake, and as long as a whole request may take. */
export const usualLinger: LingerLimits = {
  maxBytes: 512 * 1024 * 1024,
  maxMs: 30_000,
  lookMs: 5000,
  leastBytes: 64 * 1024,
}

/**
 * Lets clients see that their request is refused before they have sent it: the answer says that the connection ends, is
 * followed by our half of that end, and what still comes is read and thrown away, within limits. A connection that is
 * closed while something unread waits is reset, and many clients then report that instead of the answer. Who asks
 * first (`Expect: 100-continue`) gets the answer to continue when its body is wanted, not before.
 */
export function lingerAfterRefusals(app: FastifyInstance, limits: LingerLimits = usualLinger): void {
  const lingering = new Set<Socket>()
  let isClosing = false

  // Node has ended our half, and waits until that is sent before it destroys the connection.
  function lingerInstead(socket: Socket): void {
    if (isClosing || socket.readableEnded || !socket.listeners('finish').includes(socket.destroy)) return
    socket.off('finish', socket.destroy)
    lingering.add(socket)
    socket.once('close', () => lingering.delete(socket))
    linger(socket, limits)
  }

  app.addHook('onSend', async (request, reply) => {
    if (reply.statusCode < 400) return
    await undefined // until the parser has gone through what came together with the head
    if (request.raw.complete) return
    reply.header('connection', 'close')
    reply.raw.once('finish', () => lingerInstead(request.raw.socket)) // behind Node's own listener
  })
  app.addHook('preClose', async () => {
    isClosing = true
    for (const socket of lingering) socket.destroy()
  })
  app.server.on('clientError', (_error, socket: Socket) => lingerInstead(socket)) // behind the one that answers
  app.server.on('checkContinue', (request, response) => {
    request.once('resume', () => {
      if (!response.headersSent) response.writeContinue()
    })
    app.server.emit('request', request, response)
  })
}

function linger(socket: Socket, { maxBytes, maxMs, lookMs, leastBytes }: LingerLimits): void {
  const mostRead = socket.bytesRead + maxBytes
  const endsAt = performance.now() + maxMs
  let readBefore = socket.bytesRead
  const look = setInterval(
    () => {
      if (socket.bytesRead - readBefore < leastBytes || performance.now() > endsAt) socket.destroy()
      readBefore = socket.bytesRead
    },
    Math.min(lookMs, maxMs),
  )
  look.unref()
  socket.once('close', () => clearInterval(look))
  // The parser's, which would take what comes for more requests.
  socket.removeAllListeners('data')
  socket.on('data', () => {
    if (socket.bytesRead > mostRead) socket.destroy()
  })
  socket.once('end', () => socket.destroy())
  if (socket.writable) socket.end()
  socket.resume()
  // The parser stops and starts reading below the stream, which still waits for what it asked for: let it ask again.
  socket.push('')
}
