import { type FastifyInstance, fastify } from 'fastify'
import { LoopfleetError, messageOf } from '../base/errors.js'
import type { Logger } from '../base/logger.js'
import { createBoardQueues } from '../queue/board-queues.js'
import type { Control } from '../queue/control.js'
import type { Fleet } from '../queue/fleet.js'
import type { Journal } from '../queue/journal.js'
import type { RedisLink } from '../queue/open-redis.js'
import type { Queues } from '../queue/queues.js'
import { checkAccess, registerAccess } from './access.js'
import { registerApi } from './api-routes.js'
import { registerBoard } from './board.js'
import { RequestRefusedError } from './errors.js'
import { createLook } from './look.js'
import { registerPage } from './page-routes.js'

export type DashboardOptions = {
  readonly host?: string
  /** 0 takes a free one. */
  readonly port: number
  /** Without it only this machine is served. */
  readonly token?: string
}

export type DashboardDeps = {
  readonly link: RedisLink
  readonly queues: Queues
  readonly journal: Journal
  readonly control: Control
  readonly fleet: Fleet
  readonly log: Logger
  readonly now?: () => number
}

export type Dashboard = {
  /** Resolves with the address when the page is there. */
  listen(): Promise<string>
  close(): Promise<void>
}

/** The fleet page at `/`, its JSON at `/api`, bull-board at `/queues`. Throws LF_INVALID_INPUT for an unsafe address. */
export function createDashboard(options: DashboardOptions, deps: DashboardDeps): Dashboard {
  const { host = '127.0.0.1', port, token } = options
  checkAccess({ host, token })
  const log = deps.log.child({ component: 'dashboard' })
  const boardQueues = createBoardQueues(deps.link, deps.queues, { log })
  const look = createLook({ ...deps, now: deps.now ?? Date.now })
  const app = fastify({ bodyLimit: 64 * 1024, requestTimeout: 10_000, forceCloseConnections: true })
  registerErrors(app, log)
  app.addHook('onRequest', async (_request, reply) => void reply.headers(HEADERS))
  registerAccess(app, { host, token })
  app.addHook('onRequest', async () => {
    if (deps.link.client.status === 'ready') return // else every command would wait for it
    throw new RequestRefusedError(503, 'Redis is away; the dashboard waits for it.')
  })
  registerPage(app)
  registerApi(app, { ...deps, look })
  registerBoard(app, { queues: boardQueues })

  return {
    listen: () => app.listen({ host, port }),
    async close() {
      await app.close()
      await boardQueues.close()
    },
  }
}

const HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-cache',
}

function registerErrors(app: FastifyInstance, log: Logger): void {
  app.setErrorHandler((error, request, reply) => {
    const status = statusOf(error)
    const detail = status === 500 ? 'Internal error.' : messageOf(error)
    if (status === 500) log.error({ err: error, method: request.method, path: pathOf(request.url) }, 'request failed')
    return reply.code(status).send({ detail })
  })
  app.setNotFoundHandler((_request, reply) => reply.code(404).send({ detail: 'There is nothing at this address.' }))
}

function statusOf(error: unknown): number {
  if (error instanceof RequestRefusedError) return error.status
  if (error instanceof LoopfleetError) return error.code === 'LF_TRAINING_UNKNOWN' ? 404 : 409
  const status = error instanceof Error && 'statusCode' in error ? Number(error.statusCode) : 500
  return status >= 400 && status < 500 ? status : 500
}

// A query may hold a token, which does not belong into a log.
function pathOf(url: string): string {
  return url.split('?')[0] ?? url
}
