import type { Truth } from './plan.js'
import { uuidOf } from './random.js'

/** The truth of an image in the shape in which the Loop hands out annotations (ImageData). */
export function annotationsOf(imageId: string, truth: Truth) {
  const head = (kind: string, index: number) => ({ id: uuidOf(`${imageId}/${kind}/${index}`), image_id: imageId })
  return {
    box_annotations: truth.boxes.map(({ category_id, x, y, width, height }, index) => ({
      ...head('box', index),
      category_id,
      x,
      y,
      width,
      height,
    })),
    point_annotations: truth.points.map(({ category_id, x, y }, index) => ({
      ...head('point', index),
      category_id,
      x,
      y,
    })),
    segmentation_annotations: truth.segmentations.map(({ category_id, points }, index) => ({
      ...head('segmentation', index),
      category_id,
      shape: { points: points.map(({ x, y }) => ({ x, y })) },
    })),
    classification_annotation: null,
  }
}

export const NO_TRUTH: Truth = { boxes: [], points: [], segmentations: [] }
