import type { FastifyInstance } from 'fastify'
import { createHttpServer, type HealthOptions, type HttpErrorAnswer } from '../base/http/index.js'
import type { Logger } from '../base/logger/index.js'
import { RedisUnfitError, RedisUnreachableError } from '../queue/redis-basics/index.js'

/** What the common REST endpoints of a node act on. */
export type NodeSwitches = {
  /** False disconnects the node from the Loop and keeps it so. */
  setOnline(online: boolean): Promise<void>
  setDebugLogging(on: boolean): void
  /** For tests only (USE_BACKDOOR_CONTROLS); without it these endpoints do not exist. */
  readonly backdoor?: { reset(): Promise<void>; sendStatus(): void }
}

export type NodeHttpRules = HealthOptions & { readonly allowedHosts?: readonly string[] }

/** Above what switching the checks of a converter off may take. */
const FINISH_MS = 3000

/**
 * The endpoints every Python node answers: `PUT /socketio` and `PUT /debug_logging`, each with the body on or off; with
 * a backdoor also `POST /reset` (aborts what it trains) and `POST /force_status_update`.
 * The caller listens and closes.
 */
export function createNodeHttp(
  switches: NodeSwitches,
  deps: NodeHttpRules & { readonly log: Logger },
): FastifyInstance {
  const server = createSwitchServer(deps, deps)
  registerNodeSwitches(server, switches, deps)
  registerBackdoor(server, switches, deps)
  return server
}

/** A server for short bodies, which it hands on as text. */
export function createSwitchServer(rules: NodeHttpRules, deps: { readonly log: Logger }): FastifyInstance {
  const { allowedHosts, whyNotReady, ending } = rules
  const { app } = createHttpServer(
    { maxBodyBytes: 1024, finishAnswersMs: FINISH_MS, allowedHosts, whyNotReady, ending, toErrorAnswer: answerOutage },
    deps,
  )
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => done(null, body))
  return app
}

/** What Redis does not carry out now may be asked for again. */
function answerOutage(error: unknown): HttpErrorAnswer | undefined {
  const isOutage = error instanceof RedisUnreachableError || error instanceof RedisUnfitError
  return isOutage ? { status: 503, detail: error.message, retryAfterSeconds: 2 } : undefined
}

/** The two switches alone, on a server that hands bodies on as text. */
export function registerNodeSwitches(
  server: FastifyInstance,
  switches: Pick<NodeSwitches, 'setOnline' | 'setDebugLogging'>,
  deps: { readonly log: Logger },
): void {
  const log = deps.log.child({ component: 'node-http' })
  server.put('/socketio', async (request, reply) => {
    const on = toOnOff(request.body)
    if (on === undefined) return reply.code(400).send({ detail: 'Invalid state' })
    log.info({ online: on }, 'socket switched')
    await switches.setOnline(on)
    return reply.type('application/json').send(JSON.stringify(on ? 'on' : 'off'))
  })
  server.put('/debug_logging', async (request, reply) => {
    const on = toOnOff(request.body)
    if (on === undefined) return reply.code(400).send({ detail: 'Invalid state' })
    switches.setDebugLogging(on)
    return reply.type('application/json').send(JSON.stringify(on ? 'on' : 'off'))
  })
}

function registerBackdoor(server: FastifyInstance, { backdoor }: NodeSwitches, deps: { readonly log: Logger }): void {
  if (backdoor === undefined) return
  server.post('/reset', async (_request, reply) => {
    deps.log.warn('reset by its backdoor')
    await backdoor.reset()
    return reply.type('application/json').send('null')
  })
  server.post('/force_status_update', async (_request, reply) => {
    backdoor.sendStatus()
    return reply.type('application/json').send('null')
  })
}

/** The state in the body of a switch; undefined for another text. */
export function toOnOff(body: unknown): boolean | undefined {
  const text = typeof body === 'string' ? body.trim().replaceAll('"', '') : ''
  if (text === 'on') return true
  return text === 'off' ? false : undefined
}
