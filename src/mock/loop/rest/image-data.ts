import type { Detections } from '../../../loop/protocol/index.js'
import { annotationsOf, NO_TRUTH } from '../generator/annotations.js'
import type { Project } from '../store/project.js'
import type { ImageRecord } from '../store/records.js'

/** An image as the API hands it out, with what one model (or all of them) found in it. */
export function toImageData(project: Project, image: ImageRecord, modelVersion?: string) {
  const resource = `/${project.record.organization}/projects/${project.record.project}/images/${image.id}`
  const annotations = annotationsOf(image.id, image.annotated && image.truth !== null ? image.truth : NO_TRUTH)
  const found = [...(project.detections.get(image.id) ?? new Map<string, Detections>())]
    .filter(([version]) => modelVersion === undefined || version === modelVersion)
    .map(([, detections]) => detections)
  return {
    id: image.id,
    created: image.created,
    state: image.state,
    set: image.set,
    resource: `${resource}/main`,
    thumbnail: `${resource}/thumb`,
    width: image.width,
    height: image.height,
    ...annotations,
    segmentation_annotations: [...annotations.segmentation_annotations, ...image.segmentations],
    box_detections: found.flatMap((detections) => detections.box_detections),
    point_detections: found.flatMap((detections) => detections.point_detections),
    segmentation_detections: found.flatMap((detections) => detections.segmentation_detections),
    classification_detections: found.flatMap((detections) => detections.classification_detections),
    tags: image.tags.map((name) => ({ id: name, name })),
    source: image.source,
    novelty_score: project.record.novelty_scores[image.id] ?? null,
  }
}
