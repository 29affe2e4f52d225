import { failureClassOf, LoopfleetError } from '../../base/index.js'
import { LoopAnswerError, LoopClosedError, LoopLoginError, LoopRequestError } from '../../loop/client/index.js'

/** Workers died again and again while they converted a model. */
export class ConversionKillsWorkersError extends LoopfleetError {
  static {
    this.prototype.name = 'ConversionKillsWorkersError'
  }
  constructor(details: { readonly conversionId: string; readonly deaths: number }) {
    super(
      'LF_CONVERSION_KILLS_WORKERS',
      `The workers of conversion ${details.conversionId} died ${details.deaths} times in a row while they had it.`,
      { details },
    )
  }
}

/** This host has no such converter. */
export class UnknownConverterError extends LoopfleetError {
  static {
    this.prototype.name = 'UnknownConverterError'
  }
  constructor(converter: string) {
    super(
      'LF_UNKNOWN_CONVERTER',
      `This worker has no converter "${converter}"; start it with --converter FILE of that name.`,
      { details: { converter } },
    )
  }
}

/** The model or its format is not at the Loop any more. */
export class ModelGoneError extends LoopfleetError {
  static {
    this.prototype.name = 'ModelGoneError'
  }
  constructor(modelId: string) {
    super('LF_MODEL_GONE', `Model ${modelId} is not at the Loop any more.`, { details: { modelId } })
  }
}

// What these say is about our account, the address or the hurry, whatever model it is.
const NOT_THE_FILES = [401, 402, 403, 404, 405, 407]

/** Whether the model, and not the network, the Loop or our account, is the reason. */
export function isTheModelsFault(error: unknown): boolean {
  if (failureClassOf(error) === 'transient') return false
  if (error instanceof LoopLoginError || error instanceof LoopAnswerError || error instanceof LoopClosedError)
    return false
  if (error instanceof LoopRequestError) return !NOT_THE_FILES.includes(error.details.status ?? 0)
  return true
}
