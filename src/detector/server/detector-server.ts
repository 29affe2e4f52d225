import type { FastifyInstance } from 'fastify'
import type { Logger } from '../../base/logger/index.js'
import type { Dialect } from '../../loop/protocol/index.js'
import type { Detector } from '../serving/detector.js'
import { registerBackdoorRoutes } from './backdoor-routes.js'
import { registerDetectRoutes } from './detect-routes.js'
import { registerDocsPage } from './docs-page.js'
import { createDetectorHttp } from './http-server.js'
import { defaultLimits, type ServerLimits } from './limits.js'
import { createMetrics } from './metrics.js'
import { registerModeRoutes } from './mode-routes.js'
import { socketEvents } from './socket-events.js'
import { createDetectorSocket } from './socket-server.js'
import { registerWatchRoutes, watchRequests } from './watch-routes.js'

export type DetectorServerOptions = {
  readonly dialect: Dialect
  readonly version: string
  /** Turns the test endpoints on. */
  readonly hasBackdoor?: boolean
  readonly limits?: Partial<ServerLimits>
  /** Names to which it answers beside those of this machine, when it is bound to loopback. */
  readonly allowedHosts?: readonly string[]
  /** Aborts when the detector is asked to end. */
  readonly ending?: AbortSignal
}

export type DetectorServerDeps = {
  readonly detector: Detector
  readonly log: Logger
  /** Adds what every node answers, such as its switches. */
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
