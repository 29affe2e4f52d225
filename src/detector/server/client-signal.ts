import type { FastifyReply } from 'fastify'
import { LoopfleetError } from '../../base/errors.js'

/** The client has closed its connection, so nobody waits for the answer. */
export class ClientGoneError extends LoopfleetError {
  static {
    this.prototype.name = 'ClientGoneError'
  }
  constructor() {
    super('LF_DETECTOR_CLIENT_GONE', 'The client has closed the connection before its answer was ready.')
  }
}

/** Aborts when the connection of a request closes before its answer has gone out. */
export function clientSignal(reply: FastifyReply): AbortSignal {
  const controller = new AbortController()
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) controller.abort(new ClientGoneError())
  })
  return controller.signal
}
