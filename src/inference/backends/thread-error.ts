import { type FailureClass, messageOf } from '../../base/index.js'
import { ImageError } from '../../images/index.js'
import { InferenceError, type InferenceErrorCode, inferenceErrorCodes } from '../basics/index.js'

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

export function isTimeout(error: unknown): boolean {
  return error instanceof InferenceError && error.code === 'LF_INFERENCE_TIMEOUT'
}

export function threadLateError({ timeoutMs }: { readonly timeoutMs: number }): InferenceError {
  const message = `An image took longer than ${timeoutMs} ms; its thread is replaced.`
  return new InferenceError('LF_INFERENCE_TIMEOUT', message, { details: { timeoutMs } })
}

export function threadDiedError(cause: unknown): InferenceError {
  const message = `The inference thread ended while it held an image (${messageOf(cause)}); it was replaced.`
  return new InferenceError('LF_INFERENCE_THREAD_DIED', message, { cause, failure: 'transient' })
}

export function modelSlowError(
  { loadMs, warmUpMs }: { readonly loadMs: number; readonly warmUpMs: number },
  cause: unknown,
) {
  const message = `The model was not loaded within ${loadMs / 1000} s, or did not answer its first image within ${warmUpMs / 1000} s.`
  return new InferenceError('LF_MODEL_SLOW', message, { cause, details: { loadMs, warmUpMs } })
}
