import { LoopfleetError } from '../../base/index.js'

/** One wrong field of a request, in the form that clients of the Python library know. */
export type FieldProblem = { readonly loc: readonly string[]; readonly msg: string; readonly type: string }

export type RequestProblem = {
  /** 4xx or 5xx, as the answer of REST. */
  readonly status: number
  readonly fields?: readonly FieldProblem[]
}

/** What a client asked for cannot be done; its sentence is the answer, over REST and over the socket. */
export class DetectorRequestError extends LoopfleetError {
  static {
    this.prototype.name = 'DetectorRequestError'
  }
  declare readonly details: RequestProblem

  constructor(message: string, problem: RequestProblem, cause?: unknown) {
    super('LF_DETECTOR_REQUEST', message, { details: problem, cause })
  }
}

/** A field that is missing or cannot be what was given: 422, with the field's place. */
export function fieldError(place: 'body' | 'header' | 'query', name: string, sentence: string): DetectorRequestError {
  const fields = [{ loc: [place, name], msg: sentence, type: 'value_error' }]
  return new DetectorRequestError(`${name}: ${sentence}`, { status: 422, fields })
}
