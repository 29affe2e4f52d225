import type { InferenceCategory } from './findings.js'
import type { OwnedImage } from './image-source.js'
import type { LaneAnswer } from './lane.js'
import type { OnnxPlan } from './model/onnx-plan.js'
import type { NativeGuard } from './native-guard.js'
import type { ThreadError } from './thread-error.js'

type SharedSettings = {
  readonly categories: readonly InferenceCategory[]
  readonly resolution: number | undefined
  readonly confidence: 'unit' | 'percent'
  readonly maxPixels: number
}
export type OnnxSettings = SharedSettings & {
  readonly kind: 'onnx'
  readonly modelFile: string
  readonly plan: OnnxPlan
}
export type ModuleSettings = SharedSettings & {
  readonly kind: 'module'
  readonly file: string
  readonly modelFolder: string
}

/** What each thread gets when it starts: plain data, since it is cloned. */
export type ThreadSettings = OnnxSettings | ModuleSettings

/** `start` loads the model and tries it; `close` lets the backend give back what it holds. */
export type ThreadTask = {
  readonly kind: 'start' | 'detect' | 'close'
  readonly images: readonly OwnedImage[]
  /** Images that the backend is given at once. */
  readonly atOnce: number
  readonly guard: NativeGuard
}

/** Errors cross as data: a cloned Error loses its class and its code. An `error` here says that there is no model. */
export type ThreadAnswer =
  | {
      readonly ok: true
      readonly answers: readonly LaneAnswer[]
      readonly maxImages: number
      readonly wantsBatches: boolean
      readonly warnings: readonly string[]
      readonly threadId: number
      /** How long the backend worked on the images. */
      readonly workMs: number
    }
  | { readonly ok: false; readonly error: ThreadError; readonly threadId: number }
