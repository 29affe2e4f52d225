import type { FailureClass } from '../base/errors.js'
import type { DecoderPlan } from './decoder-file.js'
import { InferenceError, type InferenceErrorCode, inferenceErrorCodes } from './errors.js'
import type { Findings, InferenceCategory } from './findings.js'
import type { NativeGuard } from './native-guard.js'

/** What each thread gets when it starts: plain data, since it is cloned. */
export type ThreadSettings = {
  readonly modelFile: string
  readonly plan: DecoderPlan
  readonly categories: readonly InferenceCategory[]
  readonly resolution: number | undefined
  readonly confidence: 'unit' | 'percent'
  readonly maxPixels: number
}

/** Bytes of their own can be moved to the thread instead of copied. */
export type ThreadImage = { readonly path: string } | { readonly bytes: Uint8Array<ArrayBuffer> }

/** No image: load the model and run it once on grey. */
export type ThreadTask = { readonly image: ThreadImage | undefined; readonly guard: NativeGuard }

/** Errors cross as data: a cloned Error loses its class and its code. */
export type ThreadAnswer =
  | { readonly ok: true; readonly findings: Findings; readonly threadId: number }
  | { readonly ok: false; readonly error: ThreadError; readonly threadId: number }

export type ThreadError = {
  readonly code: InferenceErrorCode
  readonly message: string
  readonly details: Readonly<Record<string, unknown>>
  readonly failure: FailureClass
}

/** An error as it crosses the border; strangers become LF_INFERENCE_FAILED. */
export function toThreadError(thrown: unknown): ThreadError {
  if (thrown instanceof InferenceError) {
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
