import { LoopfleetError } from '../../base/index.js'

/** What a node or person asked for is against the rules; answered with this status and `{"detail": …}`. */
export class RefusedError extends LoopfleetError {
  static {
    this.prototype.name = 'RefusedError'
  }
  readonly statusCode: number
  /** For the answer, where the protocol has data there instead of the message. */
  readonly detail: object | undefined
  constructor(statusCode: number, message: string, detail?: object) {
    super('LF_LOCAL_LOOP_REFUSED', message, { details: { statusCode } })
    this.statusCode = statusCode
    this.detail = detail
  }
}
