import { type FastifyInstance, fastify } from 'fastify'
import { type BodyRate, limitBodyRate, usualBodyRate } from './body-rate.js'
import { answerClientError } from './client-errors.js'
import { type LingerLimits, lingerAfterRefusals, usualLinger } from './lingering-close.js'
import { createOriginCheck, type OriginCheck, type OriginRules } from './request-origin.js'

export type HttpServerOptions = OriginRules & {
  readonly maxBodyBytes: number
  /** The headers must have come by then. */
  readonly headersMs?: number
  readonly maxHeaderBytes?: number
  readonly maxConnections?: number
  readonly keepAliveMs?: number
  readonly bodyRate?: BodyRate
  readonly linger?: LingerLimits
  /** What is being answered is let finish when the server closes. */
  readonly finishesAnswers?: boolean
  readonly router?: { readonly ignoreTrailingSlash?: boolean; readonly maxParamLength?: number }
}

export type HttpServer = { readonly app: FastifyInstance; readonly origins: OriginCheck }

const HEADERS_MS = 10_000
const MAX_HEADER_BYTES = 16 * 1024

/**
 * The HTTP server under every part that answers requests: limits on headers and bodies, a least rate instead of a total
 * time, refusals that clients see, and no request of a foreign page or to a foreign name. Errors are `{"detail": …}`.
 */
export function createHttpServer(options: HttpServerOptions): HttpServer {
  const { headersMs = HEADERS_MS, maxHeaderBytes = MAX_HEADER_BYTES, finishesAnswers = false } = options
  const app = fastify({
    bodyLimit: options.maxBodyBytes,
    forceCloseConnections: finishesAnswers ? 'idle' : true,
    clientErrorHandler: answerClientError,
    ...(options.keepAliveMs !== undefined && { keepAliveTimeout: options.keepAliveMs }),
    ...(options.router && { routerOptions: { ...options.router } }),
    http: {
      headersTimeout: headersMs,
      requestTimeout: 0, // bodies have a least rate instead
      maxHeaderSize: maxHeaderBytes,
      connectionsCheckingInterval: Math.min(5000, headersMs / 2),
    },
  })
  if (options.maxConnections !== undefined) app.server.maxConnections = options.maxConnections
  const origins = createOriginCheck(app.server, options)
  lingerAfterRefusals(app, options.linger ?? usualLinger)
  // When all that answers requests is in its place, a socket server too.
  app.server.once('listening', () => limitBodyRate(app.server, options.bodyRate ?? usualBodyRate))
  app.addHook('onRequest', async (request, reply) => {
    const refusal = origins.ofRequest(request.raw)
    if (refusal !== undefined) return reply.code(403).send({ detail: refusal })
  })
  return { app, origins }
}
