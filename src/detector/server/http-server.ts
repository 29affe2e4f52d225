import { createHttpServer, type HttpServer } from '../../base/http/server.js'
import type { Logger } from '../../base/logger.js'
import { toErrorAnswer } from './error-answer.js'
import type { ServerLimits } from './limits.js'

/** The detector's HTTP server: its limits, its bodies, and its errors as `{"detail": …}`. */
export function createDetectorHttp(
  limits: ServerLimits & { readonly allowedHosts?: readonly string[] },
  deps: { readonly log: Logger },
): HttpServer {
  const http = createHttpServer({
    ...limits,
    keepAliveMs: 65_000,
    finishesAnswers: true,
    router: { ignoreTrailingSlash: true },
  })
  const { app } = http
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
  return http
}
