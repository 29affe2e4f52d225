import { z } from 'zod'
import type { Dialect } from './enums.js'
import { listOf, orNull } from './optional.js'
import { toLocalTimestamp } from './timestamps.js'

const found = {
  category_name: z.string(),
  model_name: z.string().describe('Version of the model.'),
  confidence: z.number().describe('0…1 from detectors; some trainers send 0…100.'),
  category_id: orNull(z.string()),
}

/** A rectangle in pixels; x and y are its top left corner, y grows downwards. */
export const boxDetectionSchema = z.object({
  ...found,
  x: z.int(),
  y: z.int(),
  width: z.int(),
  height: z.int(),
})
export type BoxDetection = z.infer<typeof boxDetectionSchema>

/** A point in pixels, its centre; integers in dialect 0.8. */
export const pointDetectionSchema = z.object({ ...found, x: z.number(), y: z.number() })
export type PointDetection = z.infer<typeof pointDetectionSchema>

/** A polygon: corners, or, from detectors, the text `x1,y1,x2,y2,…`. */
export const shapeSchema = z.union([
  z.object({ points: z.array(z.object({ x: z.number(), y: z.number() })) }),
  z.string(),
])
export type Shape = z.infer<typeof shapeSchema>

export const segmentationDetectionSchema = z.object({ ...found, shape: shapeSchema })
export type SegmentationDetection = z.infer<typeof segmentationDetectionSchema>

export const classificationDetectionSchema = z.object(found)
export type ClassificationDetection = z.infer<typeof classificationDetectionSchema>

/** The four lists that every message with detections shares. */
export const detectionLists = {
  box_detections: listOf(boxDetectionSchema),
  point_detections: listOf(pointDetectionSchema),
  segmentation_detections: listOf(segmentationDetectionSchema),
  classification_detections: listOf(classificationDetectionSchema),
}

/** What a model found in one image, as trainers send it; `tags` and `date` belong to dialect 0.8. */
export const detectionsSchema = z.object({
  ...detectionLists,
  image_id: orNull(z.string()),
  tags: z.array(z.string()).nullish(),
  date: z.string().nullish(),
})
export type Detections = z.infer<typeof detectionsSchema>

/** Body of the upload: one entry per image, at most `maxDetectionsPerPost` of them. */
export const detectionsUploadSchema = z.array(detectionsSchema)

/** How many entries a trainer sends in one request. */
export const maxDetectionsPerPost: Readonly<Record<Dialect, number>> = { '0.8': 10, current: 100 }

export type FoundInImage = Pick<Detections, keyof typeof detectionLists>

export type DetectionsStamp = {
  readonly imageId: string | null
  /** When it was found; dialect 0.8 sends it as local time. */
  readonly at: Date
}

/** Builds one entry of a trainer's upload. */
export function toDetections(lists: FoundInImage, stamp: DetectionsStamp, dialect: Dialect): Detections {
  const entry = {
    box_detections: lists.box_detections,
    point_detections: lists.point_detections,
    segmentation_detections: lists.segmentation_detections,
    classification_detections: lists.classification_detections,
    image_id: stamp.imageId,
  }
  if (dialect === 'current') return entry
  const points = lists.point_detections.map((point) => ({ ...point, x: Math.round(point.x), y: Math.round(point.y) }))
  return { ...entry, point_detections: points, tags: [], date: toLocalTimestamp(stamp.at) }
}

/** Writes a polygon as the text `x1,y1,x2,y2,…`, the form in which detectors send it. */
export function toShapeText(shape: Shape): string {
  if (typeof shape === 'string') return shape
  return shape.points.flatMap((point) => [point.x, point.y]).join(',')
}
