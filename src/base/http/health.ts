import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

export type HealthOptions = {
  /** Why the part behind the server cannot work now, as a sentence; undefined when it can. */
  readonly whyNotReady?: () => string | undefined
  /** Aborts when the part is asked to end: from then on it is not ready. */
  readonly ending?: AbortSignal
}

/** Answers a probe, before all other rules of the part, such as a token; undefined for other requests. */
export type AnswerProbe = (request: FastifyRequest, reply: FastifyReply) => FastifyReply | undefined

const LIVE = '/health/live'
const READY = '/health/ready'

/**
 * `/health/live` answers 200 as long as the event loop does; nothing else counts, since a restart helps against nothing
 * else. `/health/ready` answers 503 with the reason until the part can work, and from the moment it is asked to end.
 */
export function registerHealth(app: FastifyInstance, whyNotReady: () => string | undefined): AnswerProbe {
  function answer(request: FastifyRequest, reply: FastifyReply): FastifyReply | undefined {
    const path = request.routeOptions.url
    if (path === LIVE) return send(reply, 200, { status: 'ok' })
    if (path !== READY) return undefined
    const reason = whyNotReady()
    return reason === undefined ? send(reply, 200, { ready: true }) : send(reply, 503, { ready: false, reason })
  }

  for (const path of [LIVE, READY]) app.get(path, async (request, reply) => answer(request, reply))
  return answer
}

function send(reply: FastifyReply, status: number, body: object): FastifyReply {
  return reply.code(status).header('cache-control', 'no-store').type('application/json').send(JSON.stringify(body))
}
