import { type Dialect, paths } from '../../protocol/index.js'
import { LoopRequestError } from '../session/errors.js'
import { type MultipartPart, multipartFiles } from '../session/multipart.js'
import type { LoopSession } from '../session/session.js'

/** One image to upload: its metadata as JSON text, and a JPEG file that is streamed from disk. */
export type UploadImage = {
  /** The name of its two parts; unique within a request. */
  readonly name: string
  readonly metadata: string
  readonly imagePath: string
}

export type ImageUpload = {
  /** How many images fit into one request. */
  readonly maxImages: number
  /**
   * Sends the images in one request and resolves when the Loop has accepted all of them. Throws LF_LOOP_REQUEST; then the
   * Loop has accepted none, unless its answer was lost. A 429 is thrown immediately.
   */
  upload(images: readonly UploadImage[], options: { readonly signal: AbortSignal }): Promise<void>
}

export type ImageUploadOptions = {
  readonly organization: string
  readonly project: string
  readonly dialect?: Dialect
  /** Longest silence of the Loop. */
  readonly timeoutMs?: number
}

const MAX_IMAGES: Readonly<Record<Dialect, number>> = { '0.8': 1, current: 20 }

/** Uploads images of a detector's outbox over the session, without a login. */
export function createImageUpload(
  options: ImageUploadOptions,
  deps: { readonly session: Pick<LoopSession, 'request'> },
): ImageUpload {
  const { organization, project, dialect = 'current', timeoutMs = 30_000 } = options
  const path = paths.imageUpload(organization, project)
  const maxImages = MAX_IMAGES[dialect]
  return {
    maxImages,
    async upload(images, { signal }) {
      if (images.length > maxImages) throw new RangeError(`${images.length} images in one upload`)
      const multipart = multipartFiles(images.flatMap((image) => toParts(image, dialect)))
      await deps.session.request({
        method: 'POST',
        path,
        multipart,
        login: false,
        onTooMany: 'throw',
        timeoutMs,
        signal,
      })
    },
  }
}

/** Whether the Loop refuses the content (422, or 413: too large), so that it may accept a part of it. */
export function isContentRefusal(error: unknown): error is LoopRequestError {
  return error instanceof LoopRequestError && (error.details.status === 422 || error.details.status === 413)
}

function toParts({ name, metadata, imagePath }: UploadImage, dialect: Dialect): MultipartPart[] {
  // Colons, and characters that could end a header, are percent-encoded, as by the nodes of the Python library.
  const stem = dialect === '0.8' ? 'image' : `image_${encodeURIComponent(name)}`
  const jsonType = dialect === '0.8' ? 'application/json' : 'text/plain; charset=utf-8'
  return [
    { name: `${stem}.json`, data: metadata, contentType: jsonType },
    { name: `${stem}.jpg`, path: imagePath, contentType: 'image/jpeg' },
  ]
}
