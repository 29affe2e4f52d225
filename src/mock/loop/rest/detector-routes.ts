import type { FastifyInstance } from 'fastify'
import { detectorReportSchema } from '../../../loop/protocol/index.js'
import type { LoopContext } from '../context.js'
import { checked, requireKeys } from '../judge/checks.js'
import { projectOf } from './route-params.js'

/** Status of detectors that speak the current dialect. */
export function registerDetectorRoutes(app: FastifyInstance, context: LoopContext): void {
  app.post('/api/:o/projects/:p/detectors', async (request) => {
    projectOf(context, request)
    requireKeys(request.body, Object.keys(detectorReportSchema.shape), 'detectors')
    const status = checked(detectorReportSchema, request.body, 'detectors')
    const { uuid, name, state, errors } = status
    const shared = { id: uuid, name, state, errors, status, progress: null, socketId: null }
    context.nodes.seen({ ...shared, type: 'detector', dialect: 'current' })
    context.changed()
    return { success: true }
  })
}
