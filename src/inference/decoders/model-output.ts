import { InferenceError } from '../basics/index.js'
import type { Scored } from './non-maximum-suppression.js'

export type OutputTensor = { readonly dims: readonly number[]; readonly data: Float32Array }

/** The first output of a model for one image, row-major; a segmentation model has the shapes of its masks beside it. */
export type ModelOutput = OutputTensor & { readonly masks?: OutputTensor }

/** A box, and if the model gives masks the outline of what is in it; an empty one if the mask is empty. */
export type Candidate = Scored & { readonly outline?: readonly { readonly x: number; readonly y: number }[] }

/** What a decoder found, in pixels of the model's input; a classification has no boxes but scores per category. */
export type Decoded =
  | { readonly kind: 'boxes'; readonly candidates: readonly Candidate[] }
  | { readonly kind: 'classes'; readonly scores: readonly { categoryIndex: number; confidence: number }[] }

/** A shape that fits neither the layout nor the number of categories. */
export function outputError(output: ModelOutput, expected: string): InferenceError {
  const shape = `[${output.dims.join(', ')}]`
  return new InferenceError('LF_MODEL_OUTPUT', `The model's output has the shape ${shape}; expected ${expected}.`, {
    details: { dims: output.dims },
  })
}

/** Cuts a probability to 0…1; undefined for NaN and infinities, which must never leave a decoder. */
export function toConfidence(value: number): number | undefined {
  return Number.isFinite(value) ? Math.min(1, Math.max(0, value)) : undefined
}
