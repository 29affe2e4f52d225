import type { Category, Detections, FoundInImage } from '../../../loop/protocol/index.js'
import type { StoredDetections } from './project.js'

/** Sorts what was found in an image by model version, with category ids looked up by name where they are missing. */
export function splitByVersion(
  imageId: string,
  found: FoundInImage & Pick<Partial<Detections>, 'tags' | 'date'>,
  categories: readonly Category[],
  fallbackVersion: string,
): StoredDetections[] {
  const all = [
    ...found.box_detections,
    ...found.point_detections,
    ...found.segmentation_detections,
    ...found.classification_detections,
  ]
  const named = [...new Set(all.map(({ model_name }) => model_name))]
  const idByName = new Map(categories.map(({ id, name }) => [name, id]))
  const of = <T extends { model_name: string; category_name: string; category_id: string | null }>(
    list: readonly T[],
    version: string,
  ) =>
    list
      .filter(({ model_name }) => model_name === version)
      .map((entry) => ({ ...entry, category_id: entry.category_id || (idByName.get(entry.category_name) ?? null) }))
  return (named.length === 0 ? [fallbackVersion] : named).map((version) => ({
    image_id: imageId,
    version,
    detections: {
      box_detections: of(found.box_detections, version),
      point_detections: of(found.point_detections, version),
      segmentation_detections: of(found.segmentation_detections, version),
      classification_detections: of(found.classification_detections, version),
      image_id: imageId,
      tags: found.tags ?? null,
      date: found.date ?? null,
    },
  }))
}
