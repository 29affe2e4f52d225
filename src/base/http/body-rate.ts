import type { IncomingMessage, Server, ServerResponse } from 'node:http'

/** The least that a client must send of a body while it is sending one. */
export type BodyRate = { readonly leastBytes: number; readonly everyMs: number }

/** 1 KiB a second over 10 s: any network that works at all, and whatever the size of the body. */
export const usualBodyRate: BodyRate = { leastBytes: 10 * 1024, everyMs: 10_000 }

/**
 * Ends requests whose body comes too slowly (408). A limit on the whole time, as `requestTimeout` is, would refuse
 * large uploads over slow networks however steadily they come. Call it after everything else listens to the server.
 */
export function limitBodyRate(server: Server, rate: BodyRate = usualBodyRate): void {
  server.prependListener('request', (request: IncomingMessage, response: ServerResponse) => {
    if (!hasBody(request)) return
    let before = request.socket.bytesRead
    const timer = setInterval(() => {
      if (request.complete || request.destroyed) return clearInterval(timer)
      const received = request.socket.bytesRead - before
      before = request.socket.bytesRead
      const isUnread = request.readableLength > 0 || request.isPaused()
      if (received < rate.leastBytes && !isUnread) refuse(request, response, received, rate)
    }, rate.everyMs)
    timer.unref()
    request.once('close', () => clearInterval(timer))
  })
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

function refuse(request: IncomingMessage, response: ServerResponse, received: number, rate: BodyRate): void {
  if (response.headersSent) return void request.destroy()
  const detail = `The request came too slowly: ${received} bytes in ${rate.everyMs / 1000} s.`
  response.writeHead(408, { 'content-type': 'application/json', connection: 'close' })
  response.end(JSON.stringify({ detail }))
  response.once('finish', () => request.destroy())
}
