import type { FastifyInstance } from 'fastify'
import { type Detections, detectionsUploadSchema, maxDetectionsPerPost } from '../../../loop/protocol/index.js'
import type { LoopContext } from '../context.js'
import { digestOf } from '../effects.js'
import { checked, requireKeys } from '../judge/checks.js'
import { RefusedError } from '../refused-error.js'
import { splitByVersion } from '../store/split-detections.js'
import { projectOf } from './route-params.js'

const REQUIRED = [
  'box_detections',
  'point_detections',
  'segmentation_detections',
  'classification_detections',
  'image_id',
]

/** Detections of trainers: one entry per image, stored per image and model version, so that a repetition changes nothing. */
export function registerDetectionRoutes(app: FastifyInstance, context: LoopContext): void {
  app.post('/api/:o/projects/:p/detections', async (request) => {
    const project = projectOf(context, request)
    const entries = checked(detectionsUploadSchema, request.body, 'detections')
    if (Array.isArray(request.body)) for (const entry of request.body) requireKeys(entry, REQUIRED, 'detections')
    if (entries.length > maxDetectionsPerPost.current) {
      throw new RefusedError(422, `detections: at most ${maxDetectionsPerPost.current} entries, got ${entries.length}.`)
    }
    const stored = entries.flatMap((entry) => {
      const imageId = imageIdOf(entry)
      if (!project.images.has(imageId)) throw new RefusedError(422, `detections: there is no image ${imageId}.`)
      return splitByVersion(imageId, entry, project.record.categories, fallbackVersion(entries))
    })
    await project.putDetections(stored)
    const effects = stored.map(({ image_id, version, detections }) => ({
      key: `${project.name}/${image_id}@${version}`,
      digest: digestOf({ ...detections, date: null }),
    }))
    await context.effects.record('detections', effects)
    context.changed()
    return { success: true, count: entries.length }
  })
}

function imageIdOf(entry: Detections): string {
  if (entry.image_id === null || entry.image_id === '')
    throw new RefusedError(422, 'detections: image_id must be given.')
  return entry.image_id
}

/** An entry without finding names no model; the others of the same request do. */
function fallbackVersion(entries: readonly Detections[]): string {
  for (const { box_detections, point_detections, segmentation_detections, classification_detections } of entries) {
    const [first] = [...box_detections, ...point_detections, ...segmentation_detections, ...classification_detections]
    if (first !== undefined) return first.model_name
  }
  return ''
}
