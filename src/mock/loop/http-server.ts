import formbody from '@fastify/formbody'
import multipart from '@fastify/multipart'
import type { FastifyRequest } from 'fastify'
import {
  clientStatusOf,
  createHttpServer,
  type HealthOptions,
  type HttpErrorAnswer,
  type HttpServer,
  usualLinger,
} from '../../base/http/index.js'
import { messageOf } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import { ProtocolError } from '../../loop/protocol/index.js'
import { RefusedError } from './refused-error.js'

const MAX_BODY_BYTES = 64 * 2 ** 20
const MAX_FILE_BYTES = 8 * 2 ** 30
const MAX_UPLOAD_MS = 10 * 60_000

/** The local Loop's HTTP server: body parsers, limits and errors. */
export async function createLoopHttp(
  options: HealthOptions & { readonly allowedHosts?: readonly string[] },
  deps: { readonly log: Logger },
): Promise<HttpServer> {
  const http = createHttpServer(
    {
      ...options,
      maxBodyBytes: MAX_BODY_BYTES,
      router: { maxParamLength: 500 },
      linger: { ...usualLinger, maxBytes: MAX_FILE_BYTES, maxMs: MAX_UPLOAD_MS },
      toErrorAnswer,
    },
    deps,
  )
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
  return http

  function toErrorAnswer(error: unknown, { method, url }: FastifyRequest): HttpErrorAnswer | undefined {
    if (error instanceof ProtocolError) return { status: 422, detail: error.message }
    const status = error instanceof RefusedError ? error.statusCode : clientStatusOf(error)
    if (status === undefined) return undefined
    const reason = messageOf(error)
    deps.log.info({ status, method, url, reason }, 'request refused')
    return { status, detail: (error instanceof RefusedError ? error.detail : undefined) ?? reason }
  }
}
