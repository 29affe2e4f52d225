import { LoopfleetError } from '../base/index.js'
import { EventRefusedError } from '../loop/client/index.js'

/** The seat has a training already, or another seat has this one; the Loop gets this in an error envelope. */
export class SeatBusyError extends EventRefusedError {
  static {
    this.prototype.name = 'SeatBusyError'
  }
  constructor(reason: string, details: Readonly<Record<string, unknown>> = {}) {
    super('LF_SEAT_BUSY', reason, { details })
  }
}

/** The Loop answered `success: false`; what was sent is sent again later. */
export class LoopRefusedError extends LoopfleetError {
  static {
    this.prototype.name = 'LoopRefusedError'
  }
  constructor(event: string, answer: string | null) {
    super('LF_LOOP_REFUSED', `The Loop refused ${event}: ${answer ?? 'no reason given'}.`, {
      details: { event },
      failure: 'transient',
    })
  }
}
