import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { messageOf } from '../index.js'
import type { Logger } from '../logger/index.js'

/** How an error is answered: `{"detail": …}` with this status. */
export type HttpErrorAnswer = {
  readonly status: number
  /** A sentence, or data where the protocol of the part has some. */
  readonly detail: unknown
  readonly retryAfterSeconds?: number
}

/** How a part answers its own errors; undefined leaves an error to the rule of all servers. */
export type ToErrorAnswer = (error: unknown, request: FastifyRequest) => HttpErrorAnswer | undefined

const RETRY_AFTER_SECONDS = 2

export type ErrorHandler = (error: unknown, request: FastifyRequest, reply: FastifyReply) => FastifyReply

/**
 * Answers errors as `{"detail": …}`: those of a part as it says, those of the HTTP server itself (too large, malformed) with
 * their status, and everything else, which is a mistake of ours, with 500 and a line in the log.
 */
export function answerErrors(
  app: FastifyInstance,
  toAnswer: ToErrorAnswer,
  { log }: { readonly log: Logger },
): ErrorHandler {
  const handler: ErrorHandler = (error, request, reply) => {
    const answer = toAnswer(error, request) ?? usualAnswer(error)
    if (answer.status === 500) {
      log.error({ err: error, method: request.method, url: request.url }, 'request failed')
    }
    if (answer.retryAfterSeconds !== undefined) reply.header('retry-after', answer.retryAfterSeconds)
    return reply.code(answer.status).send({ detail: answer.detail })
  }
  app.setErrorHandler(handler)
  app.setNotFoundHandler((_request, reply) => reply.code(404).send({ detail: 'Not Found' }))
  return handler
}

function usualAnswer(error: unknown): HttpErrorAnswer {
  const status = clientStatusOf(error)
  if (status !== undefined) return { status, detail: messageOf(error) }
  if (isUnavailable(error)) return { status: 503, detail: messageOf(error), retryAfterSeconds: RETRY_AFTER_SECONDS }
  return { status: 500, detail: 'Internal error.' }
}

function isUnavailable(error: unknown): boolean {
  return error instanceof Error && 'statusCode' in error && error.statusCode === 503
}

/** The status of an error that the client can correct; of the HTTP server, or of a part that gives its errors one. */
export function clientStatusOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('statusCode' in error) || typeof error.statusCode !== 'number') return undefined
  return error.statusCode >= 400 && error.statusCode < 500 ? error.statusCode : undefined
}
