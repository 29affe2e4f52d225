import type { FailureClass } from '../base/errors.js'
import { ImageError } from '../images/errors.js'
import { InferenceError, type InferenceErrorCode, inferenceErrorCodes } from './errors.js'

/** An error as plain data: a cloned Error loses its class and its code. */
export type ThreadError = {
  readonly code: InferenceErrorCode
  readonly message: string
  readonly details: Readonly<Record<string, unknown>>
  readonly failure: FailureClass
}

/** An error as it crosses the border; strangers become LF_INFERENCE_FAILED. */
export function toThreadError(thrown: unknown): ThreadError {
  if (thrown instanceof InferenceError || thrown instanceof ImageError) {
    const { code, message, details, failure } = thrown
    return { code, message, details, failure }
  }
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  return { code: 'LF_INFERENCE_FAILED', message: `Inference failed: ${message}`, details: {}, failure: 'fatal' }
}

/** The error again, with its class. */
export function fromThreadError({ code, message, details, failure }: ThreadError): InferenceError {
  const known = inferenceErrorCodes.includes(code) ? code : 'LF_INFERENCE_FAILED'
  return new InferenceError(known, message, { details, failure })
}
