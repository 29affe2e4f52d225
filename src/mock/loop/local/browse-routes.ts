import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import type { LoopContext } from '../context.js'
import { checked } from '../judge/checks.js'
import { toImageData } from '../rest/image-data.js'
import { projectOf, queryValue } from '../rest/route-params.js'
import { localImageStates } from '../store/records.js'
import { projectView } from './views.js'

const querySchema = z.object({
  state: z.enum(localImageStates).optional(),
  model_version: z.string().optional(),
  offset: z.coerce.number().int().min(0).default(0),
  limit: z.coerce.number().int().min(1).max(200).default(24),
})

/** What the page shows of projects and images; also the truth, which nodes never see. */
export function registerBrowseRoutes(app: FastifyInstance, context: LoopContext): void {
  app.get('/api/local/projects', async () => ({ projects: context.store.projects().map(projectView) }))

  app.get('/api/local/:o/:p/images', async (request) => {
    const project = projectOf(context, request)
    const given = Object.fromEntries(Object.keys(querySchema.shape).map((key) => [key, queryValue(request, key)]))
    const { state, model_version, offset, limit } = checked(querySchema, given, 'images')
    const chosen = [...project.images.values()].filter((image) => state === undefined || image.state === state)
    const images = chosen.slice(offset, offset + limit).map((image) => ({
      ...toImageData(project, image, model_version),
      truth: image.truth,
    }))
    return { total: chosen.length, offset, images }
  })
}
