import {
  batchDetectEventSchema,
  cameraIdOf,
  type DetectEvent,
  type Dialect,
  detectEventSchema,
  type ImageMetadata,
  imageMetadataSchema,
  outboxModes,
  parseMessage,
  type SocketImage,
  type UploadEvent,
  uploadEventSchema,
} from '../../loop/protocol/index.js'
import type { Detector } from '../serving/detector.js'
import { fieldError } from '../serving/errors.js'
import { checkDate, type DetectFacts, toImageFacts } from '../serving/image-facts.js'
import type { ImageFacts } from '../serving/metadata.js'
import type { ClientImage } from '../serving/parts.js'
import { withUnknownKeys } from '../serving/unknown-keys.js'
import type { ServerLimits } from './limits.js'
import { oneOf } from './mode-routes.js'
import { wordOf } from './request-values.js'

/** Returns the answer to an event; undefined is an ack without argument. */
export type SocketEventHandler = (payload: unknown, signal: AbortSignal) => Promise<unknown>

const MAX_BATCH = 1000

/** The events of the detector's socket. The dialect of a payload is recognised by its shape. */
export function socketEvents(
  options: { readonly dialect: Dialect; readonly limits: ServerLimits },
  detector: Detector,
): Readonly<Record<string, SocketEventHandler>> {
  const { dialect, limits } = options
  const { deadlineMs } = limits
  const isOlder = dialect === '0.8'
  return {
    async detect(payload, signal) {
      const event = parseMessage(detectEventSchema, withImage(payload, 'image'), 'detect')
      return detector.detect(toClientImage(event.image), factsOf(event, dialect), { signal, deadlineMs })
    },
    async batch_detect(payload, signal) {
      const event = parseMessage(batchDetectEventSchema, withImage(payload, 'images'), 'batch_detect')
      if (event.images.length > MAX_BATCH) throw fieldError('body', 'images', `must be at most ${MAX_BATCH} images.`)
      const images = event.images.map(toClientImage)
      return { items: await detector.detectBatch(images, factsOf(event, dialect), { signal, deadlineMs }) }
    },
    async upload(payload) {
      const event = parseMessage(uploadEventSchema, withImage(payload, 'image'), 'upload')
      const { upload_priority: priority } = event
      await detector.upload(toClientImage(event.image), metadataOf(event, payload), factsOfUpload(event), { priority })
      return isOlder ? undefined : OK
    },
    async info() {
      const info = detector.modelInfo()
      if (info !== null) return info
      return isOlder ? NO_MODEL : { status: NO_MODEL }
    },
    about: async () => detector.about(),
    get_model_version: async () => detector.modelVersion(),
    get_outbox_mode: async () => ({ outbox_mode: detector.outboxMode() }),
    async set_model_version_mode(payload) {
      await detector.setModelVersion(wordOf(payload))
      return OK
    },
    async set_outbox_mode(payload) {
      await detector.setOutboxMode(oneOf(outboxModes, payload, 'outbox mode'))
      return OK
    },
  }
}

const OK = { status: 'OK' }
const NO_MODEL = 'No model loaded'

// A missing image is the most common mistake, so it has an error sentence of its own.
function withImage(payload: unknown, key: 'image' | 'images'): unknown {
  if (typeof payload === 'object' && payload !== null && key in payload) return payload
  throw fieldError(
    'body',
    key,
    'is missing: send an object with the JPEG bytes, with format and bytes, or with bytes, dtype and shape.',
  )
}

function factsOf(event: Omit<DetectEvent, 'image'>, dialect: Dialect): DetectFacts {
  const { tags, source, creation_date: creationDate, autoupload } = event
  return toImageFacts({ cameraId: cameraIdOf(event), tags, source, creationDate, autoupload }, dialect)
}

/** The metadata of an upload: one object, or the detections in the event itself, as before 0.17.0. */
function metadataOf({ metadata, detections }: UploadEvent, payload: unknown): ImageMetadata | null {
  if (metadata !== null) return withUnknownKeys(metadata, (payload as { readonly metadata: unknown }).metadata)
  return detections === null ? null : imageMetadataSchema.parse(detections)
}

function factsOfUpload({ tags, source, creation_date, metadata }: UploadEvent): ImageFacts {
  const created = checkDate(creation_date) ?? checkDate(metadata?.created)
  return { tags: tags ?? [], source, created }
}

/** Converts an image of the socket for the pool: encoded bytes, or raw pixels whose byte count fits the shape. Throws a 422. */
function toClientImage(image: SocketImage): ClientImage {
  if (image instanceof Uint8Array) return { bytes: image }
  if (image.format === 'jpeg') return { bytes: image.bytes }
  const { bytes, dtype, shape } = image
  const [height, width, channels] = shape
  if (dtype !== 'uint8') throw fieldError('body', 'image.dtype', `must be "uint8", got ${JSON.stringify(dtype)}.`)
  if (channels !== 1 && channels !== 3 && channels !== 4) {
    throw fieldError('body', 'image.shape', `must end with 1, 3 or 4 channels, got ${channels}.`)
  }
  const wanted = height * width * channels
  if (bytes.byteLength !== wanted) {
    const sentence = `must have ${wanted} bytes for the shape ${shape.join(' x ')}, got ${bytes.byteLength}.`
    throw fieldError('body', 'image.bytes', sentence)
  }
  return { pixels: bytes, width, height, channels }
}
