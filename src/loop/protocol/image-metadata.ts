import { z } from 'zod'
import { detectionLists, toShapeText } from './detections.js'
import { listOf, orNull } from './optional.js'

const named = { category_name: z.string(), category_id: orNull(z.string()) }

/** A box that a detector's caller has drawn itself. */
export const namedBoxAnnotationSchema = z.object({
  ...named,
  x: z.int(),
  y: z.int(),
  width: z.int(),
  height: z.int(),
})

/** A point that a detector's caller has set itself. */
export const namedPointAnnotationSchema = z.object({ ...named, x: z.number(), y: z.number() })

/** What a detector knows about an image: its answer, what its caller may upload, and the outbox's JSON. */
export const imageMetadataSchema = z.object({
  ...detectionLists,
  box_annotations: listOf(namedBoxAnnotationSchema),
  point_annotations: listOf(namedPointAnnotationSchema),
  classification_annotation: orNull(z.object(named)),
  tags: listOf(z.string()),
  created: orNull(z.string()),
  source: orNull(z.string()),
  state: orNull(z.string()).describe('State in which the image enters the Loop, e.g. `trash` (from 0.27.0 on).'),
})
export type ImageMetadata = z.infer<typeof imageMetadataSchema>

/** The JSON part of an image upload, as a Loop reads it: metadata, or the older detections with `date`. */
export const uploadedImageSchema = imageMetadataSchema.extend({
  date: orNull(z.string()),
  image_id: orNull(z.string()),
})
export type UploadedImage = z.infer<typeof uploadedImageSchema>

/** The same metadata with its polygons written as text, which is how detectors answer and save them. */
export function withShapeTexts(metadata: ImageMetadata): ImageMetadata {
  const polygons = metadata.segmentation_detections.map((found) => ({ ...found, shape: toShapeText(found.shape) }))
  return { ...metadata, segmentation_detections: polygons }
}
