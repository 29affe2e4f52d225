import { LoopfleetError } from '../base/errors.js'

/** A request that the dashboard does not obey; `status` is the HTTP status of the answer. */
export class RequestRefusedError extends LoopfleetError {
  static {
    this.prototype.name = 'RequestRefusedError'
  }
  readonly status: number
  constructor(status: number, message: string) {
    super('LF_REQUEST_REFUSED', message, { details: { status } })
    this.status = status
  }
}
