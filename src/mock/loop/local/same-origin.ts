import type { FastifyInstance } from 'fastify'
import { RefusedError } from '../refused-error.js'

/** Keeps other web pages that run in somebody's browser from using this server through it. */
export function registerSameOrigin(app: FastifyInstance): void {
  app.addHook('onRequest', async (request) => {
    const { origin, host } = request.headers
    if (origin === undefined || request.method === 'GET' || request.method === 'HEAD') return
    if (hostOf(origin) !== host) throw new RefusedError(403, `Requests from pages of ${origin} are not taken.`)
  })
}

function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined
}
