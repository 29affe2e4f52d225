import type { FastifyRequest } from 'fastify'
import { messageOf } from '../../base/errors.js'
import { DetectorRequestError, fieldError } from '../errors.js'

/** Reads the files of a multipart request that are parts of this name. Throws 422 without one, 413 and 400. */
export async function readImages(request: FastifyRequest, name: 'file' | 'files', most: number): Promise<Buffer[]> {
  if (!request.isMultipart()) throw fieldError('body', name, 'must be a part of a multipart/form-data body.')
  const images: Buffer[] = []
  try {
    for await (const part of request.parts()) {
      if (part.type === 'field') continue
      // A part of another name is read all the same, or the request would never end.
      if (part.fieldname === name && images.length < most) images.push(await part.toBuffer())
      else part.file.resume()
    }
  } catch (error) {
    throw withStatus(error)
  }
  if (images.length === 0) throw fieldError('body', name, 'field required')
  return images
}

// Errors of the multipart parser itself know no status: the body is malformed or broke off.
function withStatus(error: unknown): unknown {
  if (error instanceof Error && 'statusCode' in error) return error
  return new DetectorRequestError(
    `The body is no valid multipart/form-data: ${messageOf(error)}.`,
    { status: 400 },
    error,
  )
}
