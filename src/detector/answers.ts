import type { Findings } from '../inference/findings.js'
import {
  type Detections,
  type Dialect,
  type FoundInImage,
  type ImageMetadata,
  type ModelInfo,
  toDetections,
  toShapeText,
} from '../loop/protocol/index.js'
import type { ImageFacts } from './image-facts.js'
import type { DetectorModel } from './parts.js'

/** What a client gets for an image: detections with tags and date (0.8), or image metadata (current). */
export type DetectAnswer = Detections | ImageMetadata

/** Builds the answer of one image in the dialect's shape. */
export function toDetectAnswer(
  findings: Findings,
  facts: Pick<ImageFacts, 'tags' | 'source' | 'creationDate'>,
  context: { readonly version: string; readonly dialect: Dialect; readonly at: Date },
): DetectAnswer {
  const lists = withModelName(findings, context.version)
  if (context.dialect === '0.8') {
    return { ...toDetections(lists, { imageId: null, at: context.at }, '0.8'), tags: [...facts.tags] }
  }
  return { ...noAnnotations, ...lists, tags: [...facts.tags], created: facts.creationDate, source: facts.source }
}

/** Metadata of an image without anything found in it. */
export function emptyMetadata(): ImageMetadata {
  const none = { box_detections: [], point_detections: [], segmentation_detections: [], classification_detections: [] }
  return { ...none, ...noAnnotations, tags: [], created: null, source: null }
}

const noAnnotations = { box_annotations: [], point_annotations: [], classification_annotation: null }

function withModelName(findings: Findings, version: string): FoundInImage {
  const named = <Found extends object>(found: Found) => ({ ...found, model_name: version })
  return {
    box_detections: findings.box_detections.map(named),
    point_detections: findings.point_detections.map(named),
    segmentation_detections: findings.segmentation_detections.map((found) => ({
      ...named(found),
      shape: toShapeText(found.shape), // detectors write polygons as text, in both dialects
    })),
    classification_detections: findings.classification_detections.map(named),
  }
}

/** The loaded model as the detector's own API describes it. */
export function toModelInfo({ modelJson, folder, version, id }: DetectorModel): ModelInfo {
  const { host, organization, project, categories, resolution, model_size } = modelJson
  return { id, host, organization, project, version, categories, resolution, model_root_path: folder, model_size }
}
