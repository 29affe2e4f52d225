import type { Socket } from 'node:net'
import { type FastifyInstance, fastify } from 'fastify'
import type { Logger } from '../../base/logger.js'
import { toErrorAnswer } from './error-answer.js'
import type { ServerLimits } from './limits.js'

/** The bare HTTP server: limits, time-outs, and errors as `{"detail": …}`. */
export function createHttpServer(limits: ServerLimits, deps: { readonly log: Logger }): FastifyInstance {
  const app = fastify({
    bodyLimit: limits.maxBodyBytes,
    requestTimeout: limits.requestMs,
    keepAliveTimeout: 65_000,
    forceCloseConnections: 'idle', // what is being answered is let finish
    routerOptions: { ignoreTrailingSlash: true },
    clientErrorHandler: answerClientError,
    http: {
      headersTimeout: limits.headersMs,
      maxHeaderSize: limits.maxHeaderBytes,
      connectionsCheckingInterval: Math.min(5000, limits.headersMs / 2),
    },
  })
  app.server.maxConnections = limits.maxConnections
  app.removeAllContentTypeParsers()
  // A form is taken as a whole: its images are needed in memory anyway, and finding them there costs least.
  app.addContentTypeParser('multipart/form-data', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  // Modes and versions come as bare text, whatever their content type says.
  app.addContentTypeParser('*', { parseAs: 'string', bodyLimit: 64 * 1024 }, (_request, body, done) => done(null, body))
  app.setErrorHandler((error, request, reply) => {
    const answer = toErrorAnswer(error)
    if (answer.isOurs) deps.log.error({ err: error, method: request.method, url: request.url }, 'request failed')
    if (answer.retryAfterSeconds !== undefined) reply.header('retry-after', answer.retryAfterSeconds)
    return reply.code(answer.status).send({ detail: answer.detail })
  })
  app.setNotFoundHandler((_request, reply) => reply.code(404).send({ detail: 'Not Found' }))
  return app
}

const CLIENT_ERRORS: Readonly<Record<string, readonly [string, string]>> = {
  HPE_HEADER_OVERFLOW: ['431 Request Header Fields Too Large', 'The headers are too large.'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: ['413 Payload Too Large', 'The chunk extensions are too large.'],
  ERR_HTTP_REQUEST_TIMEOUT: ['408 Request Timeout', 'The request came too slowly.'],
}

/** What has no request yet is answered on the bare connection. */
function answerClientError(error: Error & { readonly code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed || !socket.writable) {
    socket.destroy()
    return
  }
  const [status, detail] = CLIENT_ERRORS[error.code ?? ''] ?? ['400 Bad Request', 'The request is not HTTP.']
  const body = JSON.stringify({ detail })
  const head = `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n`
  socket.end(`${head}Connection: close\r\n\r\n${body}`)
  socket.destroySoon()
}
