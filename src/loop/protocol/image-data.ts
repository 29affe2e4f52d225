import { z } from 'zod'
import { imageSets } from './enums.js'
import { listOf, orNull } from './optional.js'

const marked = { id: orNull(z.string()), image_id: orNull(z.string()), category_id: z.string() }

/** A labelled box; x and y are the top left corner in pixels. */
export const boxAnnotationSchema = z.looseObject({
  ...marked,
  x: z.number(),
  y: z.number(),
  width: z.number(),
  height: z.number(),
})
export type BoxAnnotation = z.infer<typeof boxAnnotationSchema>

/** A labelled point, given by its centre in pixels. */
export const pointAnnotationSchema = z.looseObject({ ...marked, x: z.number(), y: z.number() })
export type PointAnnotation = z.infer<typeof pointAnnotationSchema>

/** A labelled polygon. */
export const polygonAnnotationSchema = z.looseObject({
  ...marked,
  shape: z.looseObject({ points: z.array(z.object({ x: z.number(), y: z.number() })) }),
})
export type PolygonAnnotation = z.infer<typeof polygonAnnotationSchema>

/** The category of a whole image. */
export const imageCategorySchema = z.looseObject({ category_id: z.string() })

/**
 * What the Loop knows about an image. What trainers need is checked; the rest is let through unchecked, so that an
 * odd tag of one image does not cost a training its data.
 */
export const imageDataSchema = z.looseObject({
  id: z.string().min(1),
  set: z.enum(imageSets),
  width: z.int().min(0),
  height: z.int().min(0),
  created: orNull(z.string()),
  state: orNull(z.string()),
  resource: orNull(z.string()),
  thumbnail: orNull(z.string()),
  box_annotations: listOf(boxAnnotationSchema),
  point_annotations: listOf(pointAnnotationSchema),
  segmentation_annotations: listOf(polygonAnnotationSchema),
  classification_annotation: orNull(imageCategorySchema),
  box_detections: listOf(z.unknown()),
  point_detections: listOf(z.unknown()),
  segmentation_detections: listOf(z.unknown()),
  classification_detections: listOf(z.unknown()),
  tags: listOf(z.unknown()),
})
export type ImageData = z.infer<typeof imageDataSchema>

/** Answer to `paths.images`: one entry per image that the Loop knows, at most `maxImagesPerRequest`. */
export const imagesAnswerSchema = z.looseObject({ images: z.array(imageDataSchema) })
export type ImagesAnswer = z.infer<typeof imagesAnswerSchema>

/** How many ids one request for image data may name. */
export const maxImagesPerRequest = 100
