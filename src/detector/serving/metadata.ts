import { emptyFindings, type Findings } from '../../inference/index.js'
import {
  type Category,
  type Dialect,
  type ImageMetadata,
  imageMetadataSchema,
  parseMessage,
  toDetections,
  toLocalTimestamp,
  withShapeTexts,
} from '../../loop/protocol/index.js'
import { unknownKeysOf, withUnknownKeys } from './unknown-keys.js'

/** The information of a client about its image. */
export type ImageFacts = {
  readonly tags?: readonly string[]
  readonly source?: string | null
  /** When the image was taken, in the format of the client. */
  readonly created?: string | null
}

export type MetadataOptions = {
  readonly dialect: Dialect
  /** The current time. */
  readonly at: Date
}

/** JSON of an answer or of the outbox: image metadata, or detections with `date` in dialect 0.8. */
export type ImageJson = Record<string, unknown>

/** The tag of images that a client uploads. */
const PICKED_TAG = 'picked_by_system'

/** The findings of a model in an image, with the information of the client. */
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
    tags: withoutDuplicates(facts.tags ?? []),
    created: facts.created ?? null,
    source: facts.source ?? null,
    state: null,
  })
}

/** The answer to a detect call. */
export function toDetectAnswer(metadata: ImageMetadata, options: MetadataOptions): ImageJson {
  if (options.dialect === 'current') return { ...metadata }
  return { ...toDialect08(metadata, options.at), date: toLocalTimestamp(options.at) }
}

/**
 * The JSON of a detected image in the outbox: the causes are added to its tags (and the camera in dialect 0.8).
 * An image without a date gets the current one, since it may be sent days later.
 */
export function toSavedDetection(
  metadata: ImageMetadata,
  why: { readonly causes: readonly string[]; readonly cameraId?: string | null },
  options: MetadataOptions,
): ImageJson {
  const camera = options.dialect === '0.8' && why.cameraId ? [why.cameraId] : []
  return toSaved(withTags(metadata, [...camera, ...why.causes]), options)
}

/** The JSON of an image that a client uploads, with the client's metadata if there are any. */
export function toSavedUpload(
  given: ImageMetadata | null,
  facts: ImageFacts,
  options: MetadataOptions & {
    /** Of the loaded model; null without one. */
    readonly categories: readonly Pick<Category, 'id' | 'name'>[] | null
  },
): ImageJson {
  const metadata = given ?? toImageMetadata(emptyFindings(), '')
  const known = withCategoryIds(metadata, options.categories)
  const stated = { ...known, source: facts.source ?? known.source, created: facts.created ?? known.created }
  return toSaved(withTags(stated, [...(facts.tags ?? []), PICKED_TAG]), options)
}

/**
 * Metadata of a client, with the unknown keys of newer ones. Throws LF_BAD_MESSAGE naming the wrong field, and a
 * 422 for too many or too large unknown keys.
 * @internal since its test has a table of metadata, without a request for each.
 */
export function parseImageMetadata(value: unknown): ImageMetadata {
  return withUnknownKeys(parseMessage(imageMetadataSchema, value, 'metadata'), value)
}

type Named = { readonly category_name: string; readonly category_id: string | null }

/**
 * Detections and annotations with the ids of their categories, as the Python library fills them in: a detection has the
 * id that the loaded model gives to its name, and `''` if neither model nor caller has one; an annotation keeps the
 * caller's id. Without a model everything keeps what the caller gave.
 */
function withCategoryIds(
  metadata: ImageMetadata,
  categories: readonly Pick<Category, 'id' | 'name'>[] | null,
): ImageMetadata {
  if (categories === null) return metadata
  const ids = new Map(categories.map(({ id, name }) => [name, id]))
  const detected = <One extends Named>(found: readonly One[]) =>
    found.map((one) => ({ ...one, category_id: ids.get(one.category_name) ?? one.category_id ?? '' }))
  const annotate = <One extends Named>(one: One) => ({
    ...one,
    category_id: one.category_id || (ids.get(one.category_name) ?? null),
  })
  const { classification_annotation: choice } = metadata
  return {
    ...metadata,
    box_detections: detected(metadata.box_detections),
    point_detections: detected(metadata.point_detections),
    segmentation_detections: detected(metadata.segmentation_detections),
    classification_detections: detected(metadata.classification_detections),
    box_annotations: metadata.box_annotations.map(annotate),
    point_annotations: metadata.point_annotations.map(annotate),
    classification_annotation: choice === null ? null : annotate(choice),
  }
}

function toSaved(metadata: ImageMetadata, { dialect, at }: MetadataOptions): ImageJson {
  const flat = withShapeTexts(metadata)
  // The outbox fills in the date of dialect 0.8, which is part of the image's name.
  if (dialect === '0.8') return { ...toDialect08(flat, at), date: null }
  return { ...flat, created: flat.created ?? toLocalTimestamp(at) }
}

function toDialect08(metadata: ImageMetadata, at: Date): ImageJson {
  const state = metadata.state === null ? {} : { state: metadata.state }
  const detections = toDetections(metadata, { imageId: null, at }, '0.8')
  return { ...unknownKeysOf(metadata), ...state, ...detections, tags: metadata.tags }
}

function withTags(metadata: ImageMetadata, more: readonly string[]): ImageMetadata {
  return { ...metadata, tags: withoutDuplicates([...metadata.tags, ...more]) }
}

function withoutDuplicates(tags: readonly string[]): string[] {
  return [...new Set(tags)]
}
