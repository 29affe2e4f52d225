import { createHttpServer, type HealthOptions, type HttpServer } from '../../base/http/index.js'
import type { Logger } from '../../base/logger/index.js'
import { toErrorAnswer } from './error-answer.js'
import type { ServerLimits } from './limits.js'

/** A client that is slow, or never ends, must not hold the detector up. */
const FINISH_MS = 3000

/** The detector's HTTP server: its limits, its bodies and its errors. */
export function createDetectorHttp(
  options: ServerLimits & HealthOptions & { readonly allowedHosts?: readonly string[] },
  deps: { readonly log: Logger },
): HttpServer {
  const http = createHttpServer(
    {
      ...options,
      keepAliveMs: 65_000,
      finishAnswersMs: FINISH_MS,
      router: { ignoreTrailingSlash: true },
      toErrorAnswer,
    },
    deps,
  )
  const { app } = http
  app.removeAllContentTypeParsers()
  // A form is taken as a whole: its images are needed in memory anyway, and finding them there costs least.
  app.addContentTypeParser('multipart/form-data', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  // Modes and versions come as bare text, whatever their content type says.
  app.addContentTypeParser('*', { parseAs: 'string', bodyLimit: 64 * 1024 }, (_request, body, done) => done(null, body))
  return http
}
