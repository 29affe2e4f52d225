import type { FastifyInstance } from 'fastify'
import { detectorReportSchema } from '../../../loop/protocol/index.js'
import type { LoopContext } from '../context.js'
import { checked, requireKeys } from '../judge/checks.js'
import { projectOf } from './route-params.js'

/** Status of detectors that speak the current dialect. */
export function registerDetectorRoutes(app: FastifyInstance, context: LoopContext): void {
  app.post('/api/:o/projects/:p/detectors', async (request) => {
    projectOf(context, request)
    const { node_version: _isNewer, ...keys } = detectorReportSchema.shape // which detectors before 0.27.0 do not send
    requireKeys(request.body, Object.keys(keys), 'detectors')
    const status = checked(detectorReportSchema, request.body, 'detectors')
    const { uuid, name, state, errors } = status
    const shared = { id: uuid, name, state, errors, status, progress: null, socketId: null }
    context.nodes.seen({ ...shared, type: 'detector', dialect: 'current' })
    context.changed()
    return { success: true }
  })
}
