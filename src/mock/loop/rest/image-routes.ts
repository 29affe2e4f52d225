import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import sharp from 'sharp'
import { imageStates, maxImagesPerRequest, noveltyScoresSchema } from '../../../loop/protocol/index.js'
import type { LoopContext } from '../context.js'
import { checked } from '../judge/checks.js'
import { RefusedError } from '../refused-error.js'
import { toImageData } from './image-data.js'
import { param, projectOf, queryValue } from './route-params.js'

const THUMBNAIL_WIDTH = 160

/** Ids, data and files of a project's images. */
export function registerImageRoutes(app: FastifyInstance, context: LoopContext): void {
  app.get('/api/:o/projects/:p/data', async (request) => {
    const { images, record } = projectOf(context, request)
    const asked = queryValue(request, 'state')
    const state = imageStates.find((known) => known === asked)
    if (asked !== undefined && state === undefined) {
      throw new RefusedError(422, `state: must be one of ${imageStates.join(', ')}, got ${JSON.stringify(asked)}.`)
    }
    const chosen = [...images.values()].filter((image) =>
      state === undefined ? image.state !== 'trash' : image.state === state,
    )
    return { image_ids: chosen.map(({ id }) => id), categories: record.categories }
  })

  app.get('/api/:o/projects/:p/images', async (request) => {
    const project = projectOf(context, request)
    const ids = new Set((queryValue(request, 'ids') ?? '').split(',').filter((id) => id !== ''))
    if (ids.size > maxImagesPerRequest) {
      throw new RefusedError(422, `ids: at most ${maxImagesPerRequest} images in one request, got ${ids.size}.`)
    }
    const images = [...ids].flatMap((id) => project.images.get(id) ?? [])
    const version = queryValue(request, 'model_version')
    return { images: images.map((image) => toImageData(project, image, version)) }
  })

  app.get('/api/:o/projects/:p/images/:id/main', async (request, reply) => {
    const path = imagePath(context, request)
    const { size } = await stat(path)
    return await reply.type('image/jpeg').header('content-length', size).send(createReadStream(path))
  })

  app.get('/api/:o/projects/:p/images/:id/thumb', async (request, reply) => {
    const jpeg = await sharp(imagePath(context, request))
      .autoOrient()
      .resize(THUMBNAIL_WIDTH)
      .jpeg({ quality: 80 })
      .toBuffer()
    return await reply.type('image/jpeg').header('cache-control', 'private, max-age=3600').send(jpeg)
  })

  app.put('/api/:o/projects/:p/images/novelty_scores', async (request) => {
    const project = projectOf(context, request)
    const scores = checked(noveltyScoresSchema, request.body, 'novelty_scores')
    const unknown = Object.keys(scores).find((id) => !project.images.has(id))
    if (unknown !== undefined) throw new RefusedError(422, `novelty_scores: there is no image ${unknown}.`)
    Object.assign(project.record.novelty_scores, scores)
    await project.save()
    return { success: true }
  })
}

function imagePath(context: LoopContext, request: FastifyRequest): string {
  const project = projectOf(context, request)
  const id = param(request, 'id')
  if (!project.images.has(id)) throw new RefusedError(404, `There is no image ${id} in ${project.name}.`)
  return project.imagePath(id)
}
