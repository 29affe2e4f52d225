import { type FastifyInstance, type FastifyReply, fastify } from 'fastify'
import type { Logger } from '../logger/index.js'
import { type BodyRate, limitBodyRate, usualBodyRate } from './body-rate.js'
import { answerClientError } from './client-errors.js'
import { answerErrors, type ErrorHandler, type ToErrorAnswer } from './error-answers.js'
import { type HealthOptions, registerHealth } from './health.js'
import { type LingerLimits, lingerAfterRefusals, usualLinger } from './lingering-close.js'
import { refuseUpgrades } from './other-upgrades.js'
import { createOriginCheck, type OriginCheck, type OriginRules } from './request-origin.js'

export type HttpServerOptions = OriginRules &
  HealthOptions & {
    readonly maxBodyBytes: number
    /** The headers must have come by then. */
    readonly headersMs?: number
    readonly maxHeaderBytes?: number
    readonly maxConnections?: number
    readonly keepAliveMs?: number
    readonly bodyRate?: BodyRate
    readonly linger?: LingerLimits
    /** How long `close` waits for what is being answered; without it, all connections are cut immediately. */
    readonly finishAnswersMs?: number
    readonly toErrorAnswer?: ToErrorAnswer
    readonly router?: { readonly ignoreTrailingSlash?: boolean; readonly maxParamLength?: number }
  }

export type HttpServer = {
  readonly app: FastifyInstance
  readonly origins: OriginCheck
  /** For routes of plug-ins that bring an error handler of their own. */
  readonly answerError: ErrorHandler
}

const HEADERS_MS = 10_000
const MAX_HEADER_BYTES = 16 * 1024

/**
 * The HTTP server under every part that answers requests: probes, limits on headers and bodies, a least rate instead of a
 * total time, refusals that clients see, and no request of a foreign page or to a foreign name. Errors are `{"detail": …}`.
 */
export function createHttpServer(options: HttpServerOptions, deps: { readonly log: Logger }): HttpServer {
  const { headersMs = HEADERS_MS, maxHeaderBytes = MAX_HEADER_BYTES, finishAnswersMs = 0 } = options
  const app = fastify({
    bodyLimit: options.maxBodyBytes,
    forceCloseConnections: true,
    return503OnClosing: false, // probes are answered until the server is closed, other requests are refused below
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
  refuseUpgrades(app.server)
  const origins = createOriginCheck(app.server, options)
  const isClosing = finishAnswers(app, finishAnswersMs)
  const isEnding = () => isClosing() || options.ending?.aborted === true
  const answerProbe = registerHealth(app, () => (isEnding() ? 'The server is stopping.' : options.whyNotReady?.()))
  lingerAfterRefusals(app, options.linger ?? usualLinger)
  const answerError = answerErrors(app, options.toErrorAnswer ?? (() => undefined), deps)
  // When all that answers requests is in its place, a socket server too.
  app.server.once('listening', () => limitBodyRate(app.server, options.bodyRate ?? usualBodyRate))
  app.addHook('onRequest', async (request, reply) => {
    const refusal = origins.ofRequest(request.raw)
    if (refusal !== undefined) return reply.code(403).send({ detail: refusal })
    return answerProbe(request, reply) ?? (isClosing() ? refuseBecauseItEnds(reply) : undefined)
  })
  return { app, origins, answerError }
}

const RETRY_AFTER_SECONDS = 2

/**
 * Lets a server that closes finish what is being answered, for `graceMs` at most. Meanwhile it listens on, so that probes
 * see why it is not ready; other requests are to be refused. Returns whether the server closes.
 */
function finishAnswers(app: FastifyInstance, graceMs: number): () => boolean {
  let isClosing = false
  let count = 0
  let allAnswered: () => void = () => undefined

  app.server.on('request', (_request, response) => {
    count += 1
    response.once('close', () => {
      count -= 1
      if (count === 0) allAnswered()
    })
  })
  app.addHook('preClose', async () => {
    isClosing = true
    if (count === 0 || graceMs === 0) return
    await new Promise<void>((resolve) => {
      const giveUp = setTimeout(resolve, graceMs)
      allAnswered = () => {
        clearTimeout(giveUp)
        resolve()
      }
    })
  })
  return () => isClosing
}

function refuseBecauseItEnds(reply: FastifyReply): FastifyReply {
  reply.code(503).header('connection', 'close').header('retry-after', RETRY_AFTER_SECONDS)
  return reply.send({ detail: 'The server is stopping.' })
}
