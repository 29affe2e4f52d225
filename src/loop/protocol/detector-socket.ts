import { z } from 'zod'
import { detectionsSchema } from './detections.js'
import { imageMetadataSchema } from './image-metadata.js'
import { orNull } from './optional.js'

/** An image as raw pixels, row by row (current dialect from 0.18.0 on). */
export const arrayImageSchema = z.object({
  format: z.literal('raw').default('raw'),
  bytes: z.instanceof(Uint8Array),
  dtype: z.string(),
  shape: z.tuple([z.int().min(1), z.int().min(1), z.int().min(1)]).describe('Height, width, channels.'),
})
export type ArrayImage = z.infer<typeof arrayImageSchema>

/** An encoded image that names its format (current dialect from 0.27.0 on). */
export const jpegImageSchema = z.object({ format: z.literal('jpeg'), bytes: z.instanceof(Uint8Array) })

const formattedImageSchema = z.discriminatedUnion('format', [arrayImageSchema, jpegImageSchema], {
  error: (issue) => (issue.code === 'invalid_union' ? 'must be "raw" or "jpeg"' : undefined),
})

/** An image on the detector's socket: an encoded one, bare (releases before 0.18.0) or with its format, or raw pixels. */
export const socketImageSchema = z.union(
  [z.instanceof(Uint8Array), z.preprocess(withFormat, formattedImageSchema)],
  'must be the bytes of an image, or {format, bytes}, or {bytes, dtype, shape}',
)
export type SocketImage = z.infer<typeof socketImageSchema>

const aboutImages = {
  camera_id: orNull(z.string()),
  'camera-id': orNull(z.string()),
  mac: orNull(z.string()),
  tags: orNull(z.array(z.string())),
  source: orNull(z.string()),
  autoupload: orNull(z.string()).describe('Missing means `filtered`.'),
  creation_date: orNull(z.string()),
}

/** Argument of the detector's event `detect`, either dialect. */
export const detectEventSchema = z.object({ image: socketImageSchema, ...aboutImages })
export type DetectEvent = z.infer<typeof detectEventSchema>

/** Argument of the detector's event `batch_detect`. */
export const batchDetectEventSchema = z.object({ images: z.array(socketImageSchema), ...aboutImages })
export type BatchDetectEvent = z.infer<typeof batchDetectEventSchema>

/** Argument of the detector's event `upload`; before 0.17.0 the parts of the metadata stand side by side. */
export const uploadEventSchema = z.object({
  image: socketImageSchema,
  metadata: orNull(imageMetadataSchema),
  upload_priority: z
    .boolean()
    .nullish()
    .transform((value) => value ?? false),
  detections: orNull(detectionsSchema),
  tags: orNull(z.array(z.string())),
  source: orNull(z.string()),
  creation_date: orNull(z.string()),
})
export type UploadEvent = z.infer<typeof uploadEventSchema>

/** Answer of `batch_detect`. */
export const batchDetectAnswerSchema = z.object({ items: z.array(imageMetadataSchema) })
export type BatchDetectAnswer = z.infer<typeof batchDetectAnswerSchema>

/** Answers of a detector's socket that carry no data; they are no envelopes. */
export const socketStatusSchema = z.union([z.object({ status: z.string() }), z.object({ error: z.string() })])
export type SocketStatus = z.infer<typeof socketStatusSchema>

function withFormat(image: unknown): unknown {
  if (typeof image !== 'object' || image === null || Array.isArray(image)) return image
  return 'format' in image && image.format !== null && image.format !== undefined ? image : { ...image, format: 'raw' }
}

/** The camera that an image came from, under any of the three names it has had. */
export function cameraIdOf(event: Pick<DetectEvent, 'camera_id' | 'camera-id' | 'mac'>): string | null {
  return event.camera_id ?? event['camera-id'] ?? event.mac
}
