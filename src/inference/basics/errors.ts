import { LoopfleetError, type LoopfleetErrorOptions } from '../../base/index.js'
import { imageErrorCodes } from '../../images/index.js'

export const inferenceErrorCodes = [
  ...imageErrorCodes,
  'LF_MODEL_UNREADABLE',
  'LF_MODEL_OUTPUT',
  'LF_MODEL_LAYOUT',
  'LF_MODEL_CATEGORIES',
  'LF_MODEL_SLOW',
  'LF_DECODER_INVALID',
  'LF_RUNTIME_MISSING',
  'LF_INFERENCE_FAILED',
  'LF_INFERENCE_THREAD_DIED',
  'LF_INFERENCE_PROGRAM_DIED',
  'LF_INFERENCE_TIMEOUT',
  'LF_INFERENCE_DEADLINE',
  'LF_INFERENCE_BUSY',
  'LF_INFERENCE_DOWN',
  'LF_INFERENCE_CLOSED',
  'LF_THREADS_LOST',
  'LF_DETECT_OUTPUT',
  'LF_BACKEND_UNUSABLE',
] as const
export type InferenceErrorCode = (typeof inferenceErrorCodes)[number]

/** Everything that can go wrong between an image and its detections; `code` tells image, model and thread apart. */
export class InferenceError extends LoopfleetError {
  static {
    this.prototype.name = 'InferenceError'
  }
  declare readonly code: InferenceErrorCode

  constructor(code: InferenceErrorCode, message: string, options: LoopfleetErrorOptions = {}) {
    super(code, message, options)
  }
}
