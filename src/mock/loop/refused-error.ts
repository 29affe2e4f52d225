import { LoopfleetError } from '../../base/errors.js'

/** What a node or person asked for is against the rules; answered with this status and `{"detail": message}`. */
export class RefusedError extends LoopfleetError {
  static {
    this.prototype.name = 'RefusedError'
  }
  readonly statusCode: number
  constructor(statusCode: number, message: string) {
    super('LF_LOCAL_LOOP_REFUSED', message, { details: { statusCode } })
    this.statusCode = statusCode
  }
}
