import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import { createHttpServer, type HealthOptions, type HttpServer } from '../../base/http/index.js'
import type { Logger } from '../../base/logger/index.js'
import type { Dialect } from '../../loop/protocol/index.js'
import type { Detector } from '../serving/detector.js'
import { registerDetectRoutes } from './detect-routes.js'
import { toErrorAnswer } from './error-answer.js'
import { defaultLimits, type ServerLimits } from './limits.js'
import { createMetrics, type Metrics } from './metrics.js'
import { registerModeRoutes } from './mode-routes.js'
import { probeDocs, watchDocs } from './route-docs.js'
import { socketEvents } from './socket-events.js'
import { createDetectorSocket } from './socket-server.js'

export type DetectorServerOptions = {
  readonly dialect: Dialect
  readonly version: string
  /** Turns the test endpoints on. */
  readonly hasBackdoor?: boolean
  readonly limits?: Partial<ServerLimits>
  /** Host names of requests that are accepted besides those of this machine, if it is bound to loopback. */
  readonly allowedHosts?: readonly string[]
  /** Aborts when the detector is asked to end. */
  readonly ending?: AbortSignal
}

export type DetectorServerDeps = {
  readonly detector: Detector
  readonly log: Logger
  /** Adds the routes that every node has, such as its switches. */
  readonly addRoutes?: (app: FastifyInstance) => void
}

export type DetectorServer = {
  /** Resolves with the port it listens on. */
  listen(address: { readonly port: number; readonly host: string }): Promise<number>
  close(): Promise<void>
}

/** The detector's REST API and its socket, on one port. */
export async function createDetectorServer(
  options: DetectorServerOptions,
  deps: DetectorServerDeps,
): Promise<DetectorServer> {
  const { dialect } = options
  const { detector } = deps
  const log = deps.log.child({ component: 'detector-server' })
  const limits = { ...defaultLimits, ...options.limits }
  const { allowedHosts, ending } = options
  const whyNotReady = () => whyNoDetection(detector)
  const http = createDetectorHttp(
    { ...limits, whyNotReady, ...(allowedHosts && { allowedHosts }), ...(ending && { ending }) },
    { log },
  )
  const { app } = http
  const metrics = createMetrics(detector)
  await registerDocsPage(app, options)
  app.register(async (scope) => {
    watchRequests(scope, metrics)
    registerWatchRoutes(scope, detector, metrics)
    registerDetectRoutes(scope, { dialect, limits }, detector)
    registerModeRoutes(scope, detector)
    if (options.hasBackdoor === true) registerBackdoorRoutes(scope, detector, { log })
    deps.addRoutes?.(scope)
  })
  const events = socketEvents({ dialect, limits }, detector)
  const sockets = createDetectorSocket({ dialect, limits }, { http, events, watch: metrics.watch, log })
  return {
    async listen(address) {
      await app.listen(address)
      const bound = app.server.address()
      return typeof bound === 'object' && bound !== null ? bound.port : address.port
    },
    async close() {
      sockets.disconnectSockets(true)
      sockets.engine.close()
      await app.close()
    },
  }
}

/** A detector can work as soon as it has a model; it needs no Loop. */
function whyNoDetection(detector: Detector): string | undefined {
  if (detector.modelInfo() !== null) return undefined
  return `No model is loaded: ${detector.about().model_problem ?? 'the reason is unknown'}.`
}

/** For tests only (USE_BACKDOOR_CONTROLS): `POST /reset` wipes the data folder and begins again. */
function registerBackdoorRoutes(app: FastifyInstance, detector: Detector, deps: { readonly log: Logger }): void {
  app.post(
    '/reset',
    { schema: { tags: ['tests'], summary: 'Forget all models and images' } },
    async (_request, reply) => {
      reply.type('application/json')
      try {
        await detector.reset()
        return await reply.send('true')
      } catch (error) {
        deps.log.error({ err: error }, 'reset failed')
        return await reply.send('false')
      }
    },
  )
}

// The page uses inline styles; everything else has to come from its own files.
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/** The OpenAPI page at `/docs` and its description at `/openapi.json`; nothing is loaded from elsewhere. */
async function registerDocsPage(app: FastifyInstance, info: { readonly version: string }): Promise<void> {
  // The schemas of routes are only for this page: the routes check values themselves, and answers are not converted.
  app.setValidatorCompiler(() => () => true)
  app.setSerializerCompiler(() => (value) => JSON.stringify(value))
  await app.register(swagger, {
    openapi: {
      openapi: '3.0.3',
      info: {
        title: 'loopfleet detector',
        version: info.version,
        description: 'Finds things in images with a model of the Learning Loop. The same by socket at /ws/socket.io.',
      },
      paths: probeDocs,
    },
  })
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: POLICY,
    // The top bar is for choosing another API.
    theme: {
      title: 'loopfleet detector',
      css: [{ filename: 'theme.css', content: '.swagger-ui .topbar { display: none }' }],
    },
    uiConfig: { tryItOutEnabled: true, validatorUrl: null },
  })
  app.get('/openapi.json', { schema: { hide: true } }, async () => app.swagger())
}

/** At its end the detector waits this long for answers that slow clients have not read. */
const FINISH_MS = 3000

/** The detector's HTTP server: its limits, its bodies and its errors. */
function createDetectorHttp(
  options: ServerLimits & HealthOptions & { readonly allowedHosts?: readonly string[] },
  deps: { readonly log: Logger },
): HttpServer {
  const http = createHttpServer(
    {
      ...options,
      keepAliveMs: 65_000,
      finishAnswersMs: FINISH_MS,
      router: { ignoreTrailingSlash: true },
      toErrorAnswer,
    },
    deps,
  )
  const { app } = http
  app.removeAllContentTypeParsers()
  // A form is read into one buffer: its images are needed in memory anyway, and parsing them there is fastest.
  app.addContentTypeParser('multipart/form-data', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  // Modes and versions come as bare text, whatever their content type says.
  app.addContentTypeParser('*', { parseAs: 'string', bodyLimit: 64 * 1024 }, (_request, body, done) => done(null, body))
  return http
}

/** `GET /health` and `GET /metrics`. */
function registerWatchRoutes(app: FastifyInstance, detector: Detector, metrics: Metrics): void {
  app.get('/health', { schema: watchDocs.health }, async () => {
    const model = detector.modelInfo()?.version ?? null
    // Also ok without a model: a restart would not bring one.
    return { status: 'ok', ready: model !== null, model }
  })
  app.get('/metrics', { schema: watchDocs.metrics }, async (_request, reply) =>
    reply.type(metrics.contentType).send(await metrics.text()),
  )
}

/** Counts and times every request of these routes. */
function watchRequests(app: FastifyInstance, metrics: Metrics): void {
  const ends = new WeakMap<object, (status: number) => void>()
  app.addHook('onRequest', async (request) => {
    ends.set(request, metrics.watch('rest', request.routeOptions.url ?? 'unknown'))
  })
  app.addHook('onResponse', async (request, reply) => ends.get(request)?.(reply.statusCode))
}
