import {
  type Category,
  type Dialect,
  type ImageMetadata,
  toDetections,
  toLocalTimestamp,
  withShapeTexts,
} from '../loop/protocol/index.js'
import type { DetectAnswer } from './answers.js'
import type { ImageFacts } from './image-facts.js'

/** The tag of every image that a client has chosen itself. */
export const PICKED_BY_SYSTEM = 'picked_by_system'

/** JSON of a detected image that the Loop is to see, with the causes among its tags. */
export function toDetectedUpload(
  answer: DetectAnswer,
  facts: Pick<ImageFacts, 'tags' | 'cameraId'>,
  causes: readonly string[],
  context: { readonly dialect: Dialect; readonly at: Date },
): Record<string, unknown> {
  const camera = context.dialect === '0.8' && facts.cameraId !== null ? [facts.cameraId] : []
  const tags = [...new Set([...facts.tags, ...camera, ...causes])]
  return withTime({ ...answer, tags }, context)
}

/** JSON of an image that a client has chosen: its metadata with the tag and the ids of the model's categories. */
export function toChosenUpload(
  metadata: ImageMetadata,
  categories: readonly Category[],
  context: { readonly dialect: Dialect; readonly at: Date },
): Record<string, unknown> {
  const named = withCategoryIds(withShapeTexts(metadata), categories)
  const tags = [...metadata.tags.filter((tag) => tag !== PICKED_BY_SYSTEM), PICKED_BY_SYSTEM]
  if (context.dialect === 'current') return withTime({ ...named, tags }, context)
  const entry = { ...toDetections(named, { imageId: null, at: context.at }, '0.8'), tags }
  return metadata.created === null ? entry : { ...entry, date: metadata.created }
}

// The image may wait for days, and the Loop would take the time of its arrival.
function withTime(
  entry: Record<string, unknown>,
  { dialect, at }: { readonly dialect: Dialect; readonly at: Date },
): Record<string, unknown> {
  if (dialect === '0.8' || (entry.created !== null && entry.created !== undefined)) return entry
  return { ...entry, created: toLocalTimestamp(at) }
}

function withCategoryIds(metadata: ImageMetadata, categories: readonly Category[]): ImageMetadata {
  const ids = new Map(categories.map(({ id, name }) => [name, id]))
  const identified = <Named extends { category_name: string; category_id: string | null }>(found: Named): Named => ({
    ...found,
    category_id: ids.get(found.category_name) ?? '',
  })
  return {
    ...metadata,
    box_detections: metadata.box_detections.map(identified),
    point_detections: metadata.point_detections.map(identified),
    segmentation_detections: metadata.segmentation_detections.map(identified),
    classification_detections: metadata.classification_detections.map(identified),
    box_annotations: metadata.box_annotations.map(identified),
    point_annotations: metadata.point_annotations.map(identified),
    classification_annotation:
      metadata.classification_annotation === null ? null : identified(metadata.classification_annotation),
  }
}
