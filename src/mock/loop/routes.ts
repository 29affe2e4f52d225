import type { FastifyInstance } from 'fastify'
import type { LoopContext } from './context.js'
import { registerRestFaults } from './faults/rest-faults.js'
import { registerBrowseRoutes } from './local/browse-routes.js'
import { registerControlRoutes } from './local/control-routes.js'
import { registerNodeRoutes } from './local/node-routes.js'
import { registerPage } from './page/page-routes.js'
import { registerDetectionRoutes } from './rest/detection-routes.js'
import { registerDetectorRoutes } from './rest/detector-routes.js'
import { registerImageRoutes } from './rest/image-routes.js'
import { registerLogin } from './rest/login-routes.js'
import { registerModelRoutes } from './rest/model-routes.js'
import { registerOutboxRoutes } from './rest/outbox-routes.js'
import { registerProjectRoutes } from './rest/project-routes.js'
import { registerTrainingRoutes } from './rest/training-routes.js'

/** Puts all routes on the server; faults come first, so that they can hide even the login. */
export function registerRoutes(app: FastifyInstance, context: LoopContext): void {
  registerRestFaults(app, context)
  registerLogin(app, context)
  registerProjectRoutes(app, context)
  registerImageRoutes(app, context)
  registerOutboxRoutes(app, context)
  registerDetectionRoutes(app, context)
  registerModelRoutes(app, context)
  registerTrainingRoutes(app, context)
  registerDetectorRoutes(app, context)
  registerControlRoutes(app, context)
  registerNodeRoutes(app, context)
  registerBrowseRoutes(app, context)
  registerPage(app)
}
