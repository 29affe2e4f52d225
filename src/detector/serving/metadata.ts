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
const PICKED_TAG = 'picked_by_system'

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
    state: null,
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
  // The outbox fills in the older dialect's date, which is the image's name.
  if (dialect === '0.8') return { ...older(flat, at), date: null }
  return { ...flat, created: flat.created ?? toLocalTimestamp(at) }
}

function older(metadata: ImageMetadata, at: Date): ImageJson {
  const state = metadata.state === null ? {} : { state: metadata.state }
  const detections = toDetections(metadata, { imageId: null, at }, '0.8')
  return { ...unknownKeysOf(metadata), ...state, ...detections, tags: metadata.tags }
}

function withTags(metadata: ImageMetadata, more: readonly string[]): ImageMetadata {
  return { ...metadata, tags: once([...metadata.tags, ...more]) }
}

function once(tags: readonly string[]): string[] {
  return [...new Set(tags)]
}
