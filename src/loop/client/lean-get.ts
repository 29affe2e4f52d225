import { type ClientRequest, type Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { type Agent as HttpsAgent, request as httpsRequest } from 'node:https'

/** One GET by node's own client; rejects for a failure below HTTP, and bare when the signal ends it. */
export type LeanGet = (what: {
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly signal: AbortSignal
}) => Promise<{
  readonly status: number
  readonly headers: object
  readonly stream: IncomingMessage
  readonly sent: ClientRequest
}>

/** GETs below the base address, on the agents that are shared with everything else. */
export function createLeanGet(options: {
  readonly baseUrl: string
  readonly httpAgent: HttpAgent
  readonly httpsAgent: HttpsAgent
}): LeanGet {
  const base = new URL(options.baseUrl)
  const isTls = base.protocol === 'https:'
  const target = {
    agent: isTls ? options.httpsAgent : options.httpAgent,
    hostname: base.hostname.replace(/^\[|\]$/g, ''),
    port: base.port === '' ? undefined : Number(base.port),
  }
  const folder = base.pathname.replace(/\/$/, '')
  const start = isTls ? httpsRequest : httpRequest

  return ({ path, headers, signal }) =>
    new Promise((resolve, reject) => {
      const sent = start({ ...target, path: `${folder}${path}`, headers }, (stream) => {
        stream.once('close', () => signal.removeEventListener('abort', abort))
        resolve({ status: stream.statusCode ?? 0, headers: stream.headers, stream, sent })
      })
      const abort = () => sent.destroy(new Error('aborted'))
      sent.on('error', reject)
      signal.addEventListener('abort', abort)
      if (signal.aborted) abort()
      else sent.end()
    })
}
