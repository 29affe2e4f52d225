import formbody from '@fastify/formbody'
import multipart from '@fastify/multipart'
import { messageOf } from '../../base/errors.js'
import { usualLinger } from '../../base/http/lingering-close.js'
import { createHttpServer, type HttpServer } from '../../base/http/server.js'
import type { Logger } from '../../base/logger.js'
import { ProtocolError } from '../../loop/protocol/index.js'
import { RefusedError } from './refused-error.js'

const MAX_BODY_BYTES = 64 * 2 ** 20
const MAX_FILE_BYTES = 8 * 2 ** 30
const MAX_UPLOAD_MS = 10 * 60_000

/** The local Loop's HTTP server: body parsers, limits, and errors as `{"detail": sentence}`. */
export async function createLoopHttp(
  rules: { readonly allowedHosts?: readonly string[] },
  deps: { readonly log: Logger },
): Promise<HttpServer> {
  const http = createHttpServer({
    ...rules,
    maxBodyBytes: MAX_BODY_BYTES,
    router: { maxParamLength: 500 },
    linger: { ...usualLinger, maxBytes: MAX_FILE_BYTES, maxMs: MAX_UPLOAD_MS },
  })
  const { app } = http
  await app.register(formbody)
  // Paths in file names must reach us, to be refused.
  await app.register(multipart, { preservePath: true, limits: { fileSize: MAX_FILE_BYTES, files: 1000, parts: 1000 } })
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => {
    try {
      done(null, body === '' ? undefined : JSON.parse(String(body)))
    } catch {
      done(new RefusedError(400, 'The body is not JSON.'))
    }
  })
  app.setErrorHandler((error, request, reply) => {
    if (error instanceof ProtocolError) return reply.code(422).send({ detail: error.message })
    const status = statusOf(error)
    if (status === undefined) deps.log.error({ err: error, method: request.method, url: request.url }, 'request failed')
    else
      deps.log.info({ status, method: request.method, url: request.url, reason: messageOf(error) }, 'request refused')
    return reply.code(status ?? 500).send({ detail: status === undefined ? 'Internal error.' : detailOf(error) })
  })
  app.setNotFoundHandler((_request, reply) => reply.code(404).send({ detail: 'Not Found' }))
  return http
}

function detailOf(error: unknown): string | object {
  return (error instanceof RefusedError ? error.detail : undefined) ?? messageOf(error)
}

function statusOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('statusCode' in error) || typeof error.statusCode !== 'number') return undefined
  return error.statusCode >= 400 && error.statusCode < 500
    ? error.statusCode
    : error instanceof RefusedError
      ? error.statusCode
      : undefined
}
