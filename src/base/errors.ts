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
 * the language itself throws is a mistake of ours, which no retry mends.
 */
export function failureClassOf(thrown: unknown): FailureClass {
  // Not by instanceof: the protocol room, which is published alone, has an error of its own with the same property.
  const failure = typeof thrown === 'object' && thrown !== null && 'failure' in thrown ? thrown.failure : undefined
  if (failure === 'program' || failure === 'fatal') return failure
  return OUR_MISTAKES.some((mistake) => thrown instanceof mistake) ? 'fatal' : 'transient'
}

const OUR_MISTAKES = [TypeError, ReferenceError, RangeError, SyntaxError]
