import { join } from 'node:path'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { removeTree } from '../../../base/index.js'
import type { LoopContext } from '../context.js'
import { addConvertedModel, addTrainedModel, addZippedModel, type UploadedFolder } from '../models/add-model.js'
import { modelZip } from '../models/model-files.js'
import { modelById, modelEntries } from '../models/model-list.js'
import { RefusedError } from '../refused-error.js'
import type { ModelRecord } from '../store/records.js'
import { numberParam, param, projectOf, queryValue } from './route-params.js'
import { plainNames, receiveParts } from './upload.js'

/** Models: list, download, and the three ways in (trainer, converter, a person's zip). */
export function registerModelRoutes(app: FastifyInstance, context: LoopContext): void {
  app.get('/api/:o/projects/:p/models', async (request) => ({
    models: modelEntries(projectOf(context, request), queryValue(request, 'format')),
  }))

  app.get('/api/:o/projects/:p/models/:id/:format/file', { config: { open: true } }, async (request, reply) => {
    const project = projectOf(context, request)
    const model = modelById(project, param(request, 'id'))
    const format = param(request, 'format')
    const zip = await modelZip(project, model, format, context.url())
    const name = `${project.record.project}_${model.version ?? model.id}_${format}.zip`.replace(/[^\w.-]/g, '_')
    return await reply.type('application/zip').header('content-disposition', `attachment; filename="${name}"`).send(zip)
  })

  app.put('/api/:o/projects/:p/trainings/:number/models/latest/:format/file', async (request) =>
    takeFiles(context, request, (upload) =>
      addTrainedModel(
        context,
        projectOf(context, request),
        numberParam(request, 'number'),
        param(request, 'format'),
        upload,
      ),
    ),
  )

  app.put('/api/:o/projects/:p/models/:id/:format/file', async (request) =>
    takeFiles(context, request, (upload) =>
      addConvertedModel(context, projectOf(context, request), param(request, 'id'), param(request, 'format'), upload),
    ),
  )

  app.post('/api/:o/projects/:p/:format', async (request) =>
    takeFiles(context, request, ({ folder, names }) => {
      const [zip, second] = names
      if (zip === undefined || second !== undefined)
        throw new RefusedError(422, `files: one zip, got ${names.length} files.`)
      return addZippedModel(context, projectOf(context, request), param(request, 'format'), join(folder, zip))
    }),
  )
}

/** Receives the files into a folder of their own, which is gone afterwards unless it was moved to its place. */
async function takeFiles(
  context: LoopContext,
  request: FastifyRequest,
  take: (upload: UploadedFolder) => Promise<ModelRecord>,
) {
  const temporary = await context.store.temporaryFolder()
  try {
    const folder = join(temporary, 'files')
    const nameOf = plainNames()
    const parts = await receiveParts(request, folder, nameOf)
    const { id, version, formats } = await take({ folder, names: parts.map(({ filename }) => filename) })
    context.changed()
    return { id, version, formats: Object.keys(formats) }
  } finally {
    await removeTree(temporary)
  }
}
