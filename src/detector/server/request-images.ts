import type { FastifyRequest } from 'fastify'
import { fieldError } from '../serving/errors.js'
import { filesOf } from './form-files.js'
import type { ServerLimits } from './limits.js'

/** The files of a multipart request that are parts of this name. Throws 422 without one, 413 and 400. */
export function readImages(
  { body, headers }: FastifyRequest,
  name: 'file' | 'files',
  limits: Pick<ServerLimits, 'maxFiles'>,
): Buffer[] {
  if (!Buffer.isBuffer(body)) throw fieldError('body', name, 'must be a part of a multipart/form-data body.')
  const files = filesOf(body, headers['content-type'] ?? '', limits)
  const images = files.filter((file) => file.name === name).map(({ bytes }) => bytes)
  if (images.length === 0) throw fieldError('body', name, 'field required')
  return images
}
