import { createHttpServer, type HttpErrorAnswer } from '../base/http/index.js'
import type { Logger } from '../base/logger/index.js'
import {
  type Conversions,
  createBoardQueues,
  type Fleet,
  type Queues,
  type TrainingControl,
  type Trainings,
  type TrainingsOfFleet,
} from '../queue/index.js'
import type { RedisLink } from '../queue/redis/index.js'
import { checkAccess, registerAccess } from './access.js'
import { registerApi } from './api-routes.js'
import { registerBoard } from './board.js'
import { registerConversionApi } from './conversion-routes.js'
import { RequestRefusedError, toErrorAnswer } from './errors.js'
import { createLook } from './look.js'
import { registerMetrics } from './metrics.js'
import { registerPage } from './page-routes.js'

export type DashboardOptions = {
  readonly host?: string
  /** 0 takes a free one. */
  readonly port: number
  /** Without it only this machine is served. */
  readonly token?: string
  /** Names to which it answers beside those of this machine, when it has no token. */
  readonly allowedHosts?: readonly string[]
  /** Aborts when the dashboard is asked to end. */
  readonly ending?: AbortSignal
}

export type DashboardDeps = {
  readonly link: RedisLink
  readonly queues: Queues
  readonly trainings: TrainingsOfFleet & TrainingControl & Pick<Trainings, 'returnSilent'>
  readonly conversions: Conversions
  readonly fleet: Fleet
  readonly log: Logger
  readonly now?: () => number
}

export type Dashboard = {
  /** Resolves with the address when the page is there. */
  listen(): Promise<string>
  close(): Promise<void>
}

/** The fleet page at `/`, its JSON at `/api`, bull-board at `/queues`, Prometheus at `/metrics`. Throws LF_INVALID_INPUT for an unsafe address. */
export function createDashboard(options: DashboardOptions, deps: DashboardDeps): Dashboard {
  const { host = '127.0.0.1', port, token, allowedHosts = [], ending } = options
  checkAccess({ host, token })
  const log = deps.log.child({ component: 'dashboard' })
  const boardQueues = createBoardQueues(deps.link, deps.queues, { log })
  const look = createLook({ ...deps, now: deps.now ?? Date.now })
  const { app, answerError } = createHttpServer(
    {
      maxBodyBytes: 64 * 1024,
      finishAnswersMs: FINISH_MS,
      checksHost: token === undefined,
      allowedHosts: [host, ...allowedHosts],
      whyNotReady: deps.link.problem,
      ...(ending && { ending }),
      toErrorAnswer: createErrorBorder(deps.link.problem),
    },
    { log },
  )
  app.addHook('onRequest', async (_request, reply) => void reply.headers(HEADERS))
  registerAccess(app, token)
  app.addHook('onRequest', async () => {
    const problem = await deps.link.check()
    if (problem !== undefined) throw redisAway(problem) // else every command would wait for it
  })
  registerPage(app)
  registerApi(app, { ...deps, look })
  registerConversionApi(app, { ...deps, promptly: deps.trainings.promptly })
  registerMetrics(app, look)
  registerBoard(app, { link: deps.link, queues: boardQueues, fleet: deps.fleet, answerError })

  return {
    listen: () => app.listen({ host, port }),
    async close() {
      await app.close()
      await boardQueues.close()
    },
  }
}

/** An answer that waits for Redis must not hold the end up. */
const FINISH_MS = 1000

const HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-cache',
}

/** While Redis is unreachable, that is the cause of whatever fails. */
function createErrorBorder(problemOfRedis: () => string | undefined): (error: unknown) => HttpErrorAnswer {
  return (error) => {
    const answer = toErrorAnswer(error)
    const problem = answer.status === 500 ? problemOfRedis() : undefined
    return problem === undefined ? answer : toErrorAnswer(redisAway(problem))
  }
}

function redisAway(problem: string): RequestRefusedError {
  return new RequestRefusedError(503, `${problem.replace(/\.$/, '')}; the dashboard waits for it.`)
}
