/** How a failure is to be treated: again after a while, again from the last checkpoint, or not at all. */
export type FailureClass = 'transient' | 'program' | 'fatal'

export type ErrorCode = `LF_${string}`

export type LoopfleetErrorOptions = {
  /** Facts as data, for logs and `--json`; never a secret. */
  readonly details?: Readonly<Record<string, unknown>>
  readonly cause?: unknown
  readonly failure?: FailureClass
}

/**
 * The root of every error loopfleet throws itself: a stable `code` (docs/reference/errors.md lists them all), one
 * sentence with the wrong value and the way out, and the facts as `details`.
 */
export class LoopfleetError extends Error {
  static {
    this.prototype.name = 'LoopfleetError' // inherited, so it is no own key in logs
  }
  readonly code: ErrorCode
  readonly details: Readonly<Record<string, unknown>>
  readonly failure: FailureClass

  constructor(code: ErrorCode, message: string, options: LoopfleetErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.details = options.details ?? {}
    this.failure = options.failure ?? 'fatal'
  }
}

/** Something a person gave us is wrong (a flag, a file, a variable): the CLI prints the sentence and exits with 2. */
export class InvalidInputError extends LoopfleetError {
  static {
    this.prototype.name = 'InvalidInputError'
  }
  constructor(message: string, options: LoopfleetErrorOptions = {}) {
    super('LF_INVALID_INPUT', message, options)
  }
}

/** The sentence of anything that was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown)
}

/**
 * What to do about anything that was thrown. Strangers count as transient, since most of them are the network; what
 * the language itself throws is a mistake of ours, which no retry fixes.
 */
export function failureClassOf(thrown: unknown): FailureClass {
  // Not by instanceof: the protocol room, which is published alone, has an error of its own with the same property.
  const failure = typeof thrown === 'object' && thrown !== null && 'failure' in thrown ? thrown.failure : undefined
  if (failure === 'program' || failure === 'fatal') return failure
  return OUR_MISTAKES.some((mistake) => thrown instanceof mistake) ? 'fatal' : 'transient'
}

/**
 * Whether nobody has said what this failure is: thrown by the system or a library, and not one that is known to pass
 * (network, full disk, busy machine). It may be a right that is missing or a file that is gone, so it is tried again
 * only so often.
 */
export function isUnclassified(thrown: unknown): boolean {
  if (typeof thrown !== 'object' || thrown === null) return true
  if ('failure' in thrown || OUR_MISTAKES.some((mistake) => thrown instanceof mistake)) return false
  if ('name' in thrown && PASSING_NAMES.includes(String(thrown.name))) return false
  return !('code' in thrown && PASSING_CODES.test(String(thrown.code)))
}

// Network; a disk that is full or away; too many files, processes or bytes for now; the HTTP client's own.
const PASSING_CODES =
  /^(E(CONN\w+|PIPE|(NET|HOST)(UNREACH|DOWN)|TIMEDOUT|AI_AGAIN|ADDRINUSE|ADDRNOTAVAIL|NOSPC|DQUOT|STALE|M?FILE|NFILE|AGAIN|BUSY|NOMEM|TXTBSY|INTR)|ENOTFOUND|UND_ERR_\w+|(NR_|CONNECTION_)\w+|ABORT_ERR)$/
const PASSING_NAMES: readonly string[] = ['AbortError', 'TimeoutError', 'ReplyError', 'MaxRetriesPerRequestError']

const OUR_MISTAKES = [TypeError, ReferenceError, RangeError, SyntaxError]
