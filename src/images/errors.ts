import { LoopfleetError, type LoopfleetErrorOptions } from '../base/index.js'

export const imageErrorCodes = ['LF_IMAGE_UNREADABLE', 'LF_IMAGE_TOO_LARGE'] as const
export type ImageErrorCode = (typeof imageErrorCodes)[number]

/** An image that no repetition will make readable. */
export class ImageError extends LoopfleetError {
  static {
    this.prototype.name = 'ImageError'
  }
  declare readonly code: ImageErrorCode

  constructor(code: ImageErrorCode, message: string, options: LoopfleetErrorOptions = {}) {
    super(code, message, options)
  }
}

/** True for an image that cannot be read: skip and count it, and go on with the others. */
export function isImageError(thrown: unknown): thrown is LoopfleetError & { readonly code: ImageErrorCode } {
  return thrown instanceof LoopfleetError && imageErrorCodes.some((code) => code === thrown.code)
}
