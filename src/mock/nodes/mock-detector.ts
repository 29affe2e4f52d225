import type { InferenceCategory } from '../../inference/index.js'

/** A backend of the kind `module` that finds the same in every image: one of each category, as its type asks for it. */
export function createBackend(model: { readonly categories: readonly InferenceCategory[] }) {
  const of = (type: string) => model.categories.filter((category) => category.type === type)
  const findings = {
    box_detections: of('box').map((category) => ({ ...named(category, 0.99), x: 1, y: 2, width: 30, height: 40 })),
    point_detections: of('point').map((category) => ({ ...named(category, 0.97), x: 100, y: 200 })),
    segmentation_detections: of('segmentation').map((category) => ({ ...named(category, 0.96), shape: SHAPE })),
    classification_detections: of('classification').map((category) => named(category, 0.95)),
  }
  return { detect: () => findings }
}

// The coordinates and confidences of the Python library's mock trainer.
const SHAPE = {
  points: [
    { x: 1, y: 2 },
    { x: 3, y: 4 },
  ],
}

function named({ id, name }: InferenceCategory, confidence: number) {
  return { category_id: id, category_name: name, confidence }
}
