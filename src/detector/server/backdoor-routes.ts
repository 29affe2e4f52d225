import type { FastifyInstance } from 'fastify'
import type { Logger } from '../../base/logger/index.js'
import type { Detector } from '../serving/detector.js'

/** For tests only (USE_BACKDOOR_CONTROLS): `POST /reset` wipes the data folder and begins anew. */
export function registerBackdoorRoutes(app: FastifyInstance, detector: Detector, deps: { readonly log: Logger }): void {
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
