import type { FastifyInstance } from 'fastify'
import type { Detector } from '../serving/detector.js'
import type { Metrics } from './metrics.js'
import { watchDocs } from './route-docs.js'

/** `GET /health` and `GET /metrics`. */
export function registerWatchRoutes(app: FastifyInstance, detector: Detector, metrics: Metrics): void {
  app.get('/health', { schema: watchDocs.health }, async () => {
    const model = detector.modelInfo()?.version ?? null
    // Without a model it lives all the same: a restart would not bring one.
    return { status: 'ok', ready: model !== null, model }
  })
  app.get('/metrics', { schema: watchDocs.metrics }, async (_request, reply) =>
    reply.type(metrics.contentType).send(await metrics.text()),
  )
}

/** Counts and times every request of these routes. */
export function watchRequests(app: FastifyInstance, metrics: Metrics): void {
  const ends = new WeakMap<object, (status: number) => void>()
  app.addHook('onRequest', async (request) => {
    ends.set(request, metrics.watch('rest', request.routeOptions.url ?? 'unknown'))
  })
  app.addHook('onResponse', async (request, reply) => ends.get(request)?.(reply.statusCode))
}
