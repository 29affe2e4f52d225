import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Dialect } from '../../loop/protocol/index.js'
import type { Detector } from '../serving/detector.js'
import { fieldError } from '../serving/errors.js'
import { checkDate } from '../serving/image-facts.js'
import { clientSignal } from './client-signal.js'
import { filesOf } from './form-files.js'
import type { ServerLimits } from './limits.js'
import { factsOf, flagOf, givenValue } from './request-values.js'
import { detectDocs, uploadDocs } from './route-docs.js'

export type DetectRoutesOptions = { readonly dialect: Dialect; readonly limits: ServerLimits }

/** `POST /detect` and `POST /upload`. */
export function registerDetectRoutes(app: FastifyInstance, options: DetectRoutesOptions, detector: Detector): void {
  const { dialect, limits } = options
  app.post('/detect', { schema: detectDocs(dialect) }, async (request) => {
    const facts = factsOf(request, dialect)
    const signal = clientSignal(request.raw.socket)
    const [bytes] = readImages(request, 'file', limits)
    return detector.detect({ bytes: bytes ?? NO_BYTES }, facts, { signal, deadlineMs: limits.deadlineMs })
  })

  app.post('/upload', { schema: uploadDocs }, async (request) => {
    const source = givenValue(request, 'source') ?? null
    const created = checkDate(givenValue(request, 'creation_date'))
    const priority = flagOf(request, 'upload_priority')
    const images = readImages(request, 'files', limits)
    for (const bytes of images) await detector.upload({ bytes }, null, { source, created }, { priority })
    return [200, 'OK'] // as the Python library answers
  })
}

const NO_BYTES = new Uint8Array()

/** The files of a multipart request in the parts of this name. Throws 422 if there is none, 413 and 400. */
function readImages(
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
