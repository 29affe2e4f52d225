import type { Socket } from 'node:net'
import { LoopfleetError } from '../../base/index.js'

/** The client has closed its connection, so nobody waits for the answer. */
export class ClientGoneError extends LoopfleetError {
  static {
    this.prototype.name = 'ClientGoneError'
  }
  constructor() {
    super('LF_DETECTOR_CLIENT_GONE', 'The client has closed the connection before its answer was ready.')
  }
}

const signals = new WeakMap<Socket, AbortSignal>()

/** Aborts when the connection closes; one for all its requests, since one for each would grow old in the heap. */
export function clientSignal(connection: Socket): AbortSignal {
  const known = signals.get(connection)
  if (known !== undefined) return known
  const controller = new AbortController()
  const abort = () => controller.abort(new ClientGoneError())
  if (connection.destroyed) abort()
  else connection.once('close', abort)
  signals.set(connection, controller.signal)
  return controller.signal
}
