import type { HttpErrorAnswer } from '../base/http/index.js'
import { LoopfleetError, messageOf } from '../base/index.js'

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

/** How anything that was thrown is answered; our own mistakes are only the status 500 for a client. */
export function toErrorAnswer(error: unknown): HttpErrorAnswer {
  const status = statusOf(error)
  return { status, detail: status === 500 ? 'Internal error.' : messageOf(error) }
}

const STATUS: Readonly<Record<string, number>> = {
  LF_TRAINING_UNKNOWN: 404,
  LF_CONVERSION_UNKNOWN: 404,
  LF_REDIS_UNREACHABLE: 503,
  LF_REDIS_UNFIT: 503,
}

function statusOf(error: unknown): number {
  if (error instanceof RequestRefusedError) return error.status
  if (error instanceof LoopfleetError) return STATUS[error.code] ?? 409
  const status = error instanceof Error && 'statusCode' in error ? Number(error.statusCode) : 500
  return status >= 400 && status < 500 ? status : 500
}
