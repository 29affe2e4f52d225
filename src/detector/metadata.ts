import { emptyFindings, type Findings } from '../inference/findings.js'
import {
  type Category,
  type Dialect,
  type ImageMetadata,
  imageMetadataSchema,
  parseMessage,
  toDetections,
  toLocalTimestamp,
  withShapeTexts,
} from '../loop/protocol/index.js'

/** What a caller says about its image. */
export type ImageFacts = {
  readonly tags?: readonly string[]
  readonly source?: string | null
  /** When the image was made, in the caller's spelling. */
  readonly created?: string | null
}

export type MetadataOptions = {
  readonly dialect: Dialect
  /** Now. */
  readonly at: Date
}

/** JSON as it is answered or saved: image metadata, or the older detections with `date`. */
export type ImageJson = Record<string, unknown>

/** The tag of images that a caller uploads by itself. */
export const PICKED_TAG = 'picked_by_system'

/** What a model found in an image, with what the caller said about it. */
export function toImageMetadata(findings: Findings, modelVersion: string, facts: ImageFacts = {}): ImageMetadata {
  const named = <Found extends object>(found: readonly Found[]) =>
    found.map((one) => ({ ...one, model_name: modelVersion }))
  return withShapeTexts({
    box_detections: named(findings.box_detections),
    point_detections: named(findings.point_detections),
    segmentation_detections: named(findings.segmentation_detections),
    classification_detections: named(findings.classification_detections),
    box_annotations: [],
    point_annotations: [],
    classification_annotation: null,
    tags: once(facts.tags ?? []),
    created: facts.created ?? null,
    source: facts.source ?? null,
  })
}

/** The answer to a detect call. */
export function toDetectAnswer(metadata: ImageMetadata, options: MetadataOptions): ImageJson {
  if (options.dialect === 'current') return { ...metadata }
  return { ...older(metadata, options.at), date: toLocalTimestamp(options.at) }
}

/**
 * What the outbox keeps of a detected image: the causes are tags beside the given ones (and the camera in dialect 0.8).
 * Without a date of its own the image gets the present one, since it may reach the Loop days later.
 */
export function toSavedDetection(
  metadata: ImageMetadata,
  why: { readonly causes: readonly string[]; readonly cameraId?: string | null },
  options: MetadataOptions,
): ImageJson {
  const camera = options.dialect === '0.8' && why.cameraId ? [why.cameraId] : []
  return toSaved(withTags(metadata, [...camera, ...why.causes]), options)
}

/** What the outbox keeps of an image that its caller uploads, with the caller's metadata if there are any. */
export function toSavedUpload(
  given: ImageMetadata | null,
  facts: ImageFacts,
  options: MetadataOptions & { readonly categories: readonly Pick<Category, 'id' | 'name'>[] },
): ImageJson {
  const metadata = given ?? toImageMetadata(emptyFindings(), '')
  const known = withCategoryIds(metadata, options.categories)
  const stated = { ...known, source: facts.source ?? known.source, created: facts.created ?? known.created }
  return toSaved(withTags(stated, [...(facts.tags ?? []), PICKED_TAG]), options)
}

/** Metadata that came from outside. Throws LF_BAD_MESSAGE naming the wrong field. */
export function parseImageMetadata(value: unknown): ImageMetadata {
  return parseMessage(imageMetadataSchema, value, 'metadata')
}

/** Detections and annotations with the ids of their categories by name, as the loaded model has them; `''` for names it does not know. */
export function withCategoryIds(
  metadata: ImageMetadata,
  categories: readonly Pick<Category, 'id' | 'name'>[],
): ImageMetadata {
  const ids = new Map(categories.map(({ id, name }) => [name, id]))
  const identify = <Named extends { readonly category_name: string }>(one: Named) => ({
    ...one,
    category_id: ids.get(one.category_name) ?? '',
  })
  const identified = <Named extends { readonly category_name: string }>(found: readonly Named[]) => found.map(identify)
  const { classification_annotation: choice } = metadata
  return {
    ...metadata,
    box_detections: identified(metadata.box_detections),
    point_detections: identified(metadata.point_detections),
    segmentation_detections: identified(metadata.segmentation_detections),
    classification_detections: identified(metadata.classification_detections),
    box_annotations: identified(metadata.box_annotations),
    point_annotations: identified(metadata.point_annotations),
    classification_annotation: choice === null ? null : identify(choice),
  }
}

function toSaved(metadata: ImageMetadata, { dialect, at }: MetadataOptions): ImageJson {
  const flat = withShapeTexts(metadata)
  // The outbox fills in the older dialect's date, which is the image's name.
  if (dialect === '0.8') return { ...older(flat, at), date: null }
  return { ...flat, created: flat.created ?? toLocalTimestamp(at) }
}

function older(metadata: ImageMetadata, at: Date): ImageJson {
  return { ...toDetections(metadata, { imageId: null, at }, '0.8'), tags: metadata.tags }
}

function withTags(metadata: ImageMetadata, more: readonly string[]): ImageMetadata {
  return { ...metadata, tags: once([...metadata.tags, ...more]) }
}

function once(tags: readonly string[]): string[] {
  return [...new Set(tags)]
}
