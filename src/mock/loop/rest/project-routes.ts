import type { FastifyInstance } from 'fastify'
import { categorySchema } from '../../../loop/protocol/index.js'
import type { LoopContext } from '../context.js'
import { addProject } from '../generated/add-project.js'
import { RefusedError } from '../refused-error.js'
import type { Project } from '../store/project.js'
import { param, projectOf, queryValue } from './route-params.js'

/** Projects: list, one, generate, delete, and the deployment target. */
export function registerProjectRoutes(app: FastifyInstance, context: LoopContext): void {
  app.get('/api/projects', async () => ({ projects: context.store.projects().map(toEntry) }))

  app.get('/api/:o/projects/:p', async (request) => {
    const project = projectOf(context, request)
    const categories = project.record.categories.map((category) => categorySchema.parse(category))
    return { ...toEntry(project), categories, image_count: project.images.size }
  })

  app.post('/api/:o/projects/generator', async (request, reply) => {
    const gone = new AbortController()
    reply.raw.once('close', () => gone.abort(new RefusedError(400, 'generator: the client has closed its connection.')))
    const generated = await addProject(context, param(request, 'o'), request.body, { signal: gone.signal })
    context.changed()
    return generated
  })

  app.delete('/api/:o/projects/:p', async (request) => {
    const keepImages = queryValue(request, 'keep_images')?.toLowerCase() === 'true'
    await context.store.remove(param(request, 'o'), param(request, 'p'), { keepImages })
    context.changed()
    return { success: true }
  })

  app.get('/api/:o/projects/:p/deployment/target', async (request) => {
    const { record } = projectOf(context, request)
    const model = record.models.find(({ id }) => id === record.target)
    if (model === undefined)
      throw new RefusedError(404, `${record.organization}/${record.project} has no deployment target.`)
    return { model_uuid: model.id, version: model.version, formats: Object.keys(model.formats) }
  })
}

function toEntry({ record }: Project) {
  const { organization, project, created } = record
  const resource = `/${organization}/projects/${project}`
  return { organization_id: organization, project_id: project, project_name: project, resource, created }
}
