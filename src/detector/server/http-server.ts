import { type FastifyInstance, fastify } from 'fastify'
import { answerClientError } from '../../base/http/client-errors.js'
import { lingerAfterRefusals } from '../../base/http/lingering-close.js'
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
  lingerAfterRefusals(app)
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
