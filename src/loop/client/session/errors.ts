import { type FailureClass, LoopfleetError } from '../../../base/index.js'
import { REFUSED } from '../../protocol/index.js'

export type LoopRequestDetails = {
  readonly method: string
  /** Below `/api`, cut to a readable length. */
  readonly path: string
  /** The HTTP status; missing when no answer came. */
  readonly status?: number
  /** What the Loop said, or how the network failed. */
  readonly detail: string
  /** How long the Loop asked to wait. */
  readonly retryAfterMs?: number
}

/** A REST call to the Loop that got no answer or another one than it needed; `details` never hold a cookie. */
export class LoopRequestError extends LoopfleetError {
  static {
    this.prototype.name = 'LoopRequestError'
  }
  declare readonly details: LoopRequestDetails

  constructor(
    details: LoopRequestDetails,
    options: { readonly cause?: unknown; readonly failure?: FailureClass } = {},
  ) {
    super('LF_LOOP_REQUEST', requestSentence(details), {
      details: { ...details, path: shorten(details.path) },
      cause: options.cause,
      failure: options.failure ?? failureOfStatus(details.status),
    })
  }
}

/** The Loop did not take our user name and password. */
export class LoopLoginError extends LoopfleetError {
  static {
    this.prototype.name = 'LoopLoginError'
  }
  readonly status: number
  constructor(details: {
    readonly host: string
    readonly username: string
    readonly status: number
    readonly detail: string
  }) {
    super(
      'LF_LOOP_LOGIN',
      `The Loop at ${details.host} answered the login of "${details.username}" with ${details.status}` +
        `${details.detail === '' ? '' : ` (${details.detail})`}; ${loginWayOut(details.status)}.`,
      { details, failure: failureOfStatus(details.status) },
    )
    this.status = details.status
  }
}

/** Whether the account was refused, rather than the request not understood or the server broken. */
export function isAccountRefused(error: unknown): error is LoopLoginError {
  return error instanceof LoopLoginError && ACCOUNT_REFUSED.includes(error.status)
}

const ACCOUNT_REFUSED: readonly number[] = [400, 401, 403, 422]

function loginWayOut(status: number): string {
  if (ACCOUNT_REFUSED.includes(status)) return 'check LOOP_USERNAME and LOOP_PASSWORD'
  if (status >= 500) return 'the Loop, or what is behind the proxy there, does not work'
  return 'a Loop answers otherwise, so check LOOP_HOST'
}

/** The Loop answered, but not in the shape the protocol asks for. */
export class LoopAnswerError extends LoopfleetError {
  static {
    this.prototype.name = 'LoopAnswerError'
  }
  constructor(details: { readonly call: string; readonly problem: string }) {
    super(
      'LF_LOOP_ANSWER',
      `The Loop's answer to ${shorten(details.call)} is not as agreed: ${details.problem.replace(/\.$/, '')}.`,
      {
        details: { call: shorten(details.call), problem: details.problem },
        failure: 'transient', // a proxy's page or a cut answer looks the same and passes
      },
    )
  }
}

/** A handler cannot do now what an event of the Loop asks for: the payload of the answer says so to the Loop. */
export class EventRefusedError extends LoopfleetError {
  static {
    this.prototype.name = 'EventRefusedError'
  }
  readonly payload = REFUSED
}

/** An event could not be sent over the Loop socket, or no ack came. */
export class LoopSocketError extends LoopfleetError {
  static {
    this.prototype.name = 'LoopSocketError'
  }
  constructor(message: string, details: Readonly<Record<string, unknown>> = {}) {
    super('LF_LOOP_SOCKET', message, { details, failure: 'transient' })
  }
}

/** The session was closed, so nothing is sent any more. */
export class LoopClosedError extends LoopfleetError {
  static {
    this.prototype.name = 'LoopClosedError'
  }
  constructor() {
    super('LF_LOOP_CLOSED', 'The connection to the Loop was closed by this program.', { failure: 'transient' })
  }
}

/** A model's files are not what can be sent to the Loop or used from it. */
export class ModelFilesError extends LoopfleetError {
  static {
    this.prototype.name = 'ModelFilesError'
  }
  constructor(
    message: string,
    options: { readonly details?: Readonly<Record<string, unknown>>; readonly cause?: unknown } = {},
  ) {
    super('LF_MODEL_FILES', message, options)
  }
}

/** Whether waiting can help: no answer, too many requests, or the server's own fault. */
function failureOfStatus(status: number | undefined): FailureClass {
  if (status === undefined || status >= 500) return 'transient'
  return status === 408 || status === 425 || status === 429 ? 'transient' : 'fatal'
}

function requestSentence({ method, path, status, detail }: LoopRequestDetails): string {
  const call = `${method} ${shorten(path)}`
  if (status === undefined) return `The Loop did not answer ${call}: ${detail}.`
  const hint = status === 401 ? ' Set LOOP_USERNAME and LOOP_PASSWORD of an account that may do this.' : ''
  return `The Loop answered ${call} with ${status}${detail === '' ? '' : `: ${detail}`}.${hint}`
}

function shorten(text: string): string {
  return text.length <= 200 ? text : `${text.slice(0, 197)}...`
}
