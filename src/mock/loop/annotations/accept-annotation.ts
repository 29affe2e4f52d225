import { type SegmentationAnnotation, segmentationAnnotationSchema } from '../../../loop/protocol/index.js'
import type { LoopContext } from '../context.js'
import { digestOf } from '../effects.js'
import { checked } from '../judge/checks.js'
import { RefusedError } from '../refused-error.js'
import type { Project } from '../store/project.js'
import type { ImageRecord } from '../store/records.js'

const EVENT = 'update_segmentation_annotation'

// Two annotations of one image at the same time would each write the image without the other.
const lastWrites = new WeakMap<Project, Promise<void>>()

/** Keeps a polygon that an annotation tool has made; the same id again is a correction. */
export async function acceptAnnotation(context: LoopContext, project: Project, value: unknown): Promise<void> {
  const annotation = checked(segmentationAnnotationSchema, value, EVENT)
  judge(project, annotation)
  const written = (lastWrites.get(project) ?? Promise.resolve()).then(() => store(project, annotation))
  lastWrites.set(
    project,
    written.catch(() => undefined), // the sender gets the error
  )
  await written
  const key = `${project.name}/${annotation.id}`
  await context.effects.record('annotation', [{ key, digest: digestOf(annotation) }])
}

function judge(project: Project, { id, image_id, category_id, shape }: SegmentationAnnotation): void {
  const image = imageOf(project, image_id)
  if (!project.record.categories.some((category) => category.id === category_id)) {
    throw new RefusedError(422, `There is no category ${category_id} in ${project.name}.`)
  }
  const { points } = shape
  if (points.length < 3) {
    throw new RefusedError(422, `${EVENT}: annotation ${id} is no area, it has ${points.length} points.`)
  }
  const outside = points.find(({ x, y }) => x < 0 || y < 0 || x > image.width || y > image.height)
  if (outside === undefined) return
  const place = `${outside.x},${outside.y}`
  throw new RefusedError(
    422,
    `${EVENT}: ${place} lies outside the image, which has ${image.width}x${image.height} pixels.`,
  )
}

async function store(project: Project, annotation: SegmentationAnnotation): Promise<void> {
  const image = imageOf(project, annotation.image_id) // as it is now
  const others = image.segmentations.filter(({ id }) => id !== annotation.id)
  await project.putImages([{ ...image, segmentations: [...others, annotation] }])
}

function imageOf(project: Project, id: string): ImageRecord {
  const image = project.images.get(id)
  if (image === undefined) throw new RefusedError(422, `There is no image ${id} in ${project.name}.`)
  return image
}
