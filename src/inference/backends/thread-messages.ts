import type { OwnedImage } from '../../images/index.js'
import type { NativeGuard } from '../basics/index.js'
import type { InferenceCategory } from '../findings/findings.js'
import type { OnnxPlan } from './model/onnx-plan.js'
import type { ImageAnswer } from './runner.js'
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

/** What works in a thread: a loaded model, or a module's own. */
export type ThreadBackend = {
  /** Images it takes in one call. */
  readonly maxImages: number
  /** Whether it is better off with several. */
  readonly wantsBatches: boolean
  /** Doubts about the model that somebody should know of. */
  readonly warnings?: readonly string[]
  /** One answer per image, in order. */
  detect(images: readonly OwnedImage[]): Promise<ImageAnswer[]>
  close(): Promise<void>
}

export type ThreadTask = {
  readonly images: readonly OwnedImage[]
  /** Images that the backend is given in one call. */
  readonly atOnce: number
  readonly guard: NativeGuard
}

/** Errors cross as data: a cloned Error loses its class and its code. An `error` here is one of the model, or of the thread. */
export type ThreadAnswer =
  | {
      readonly ok: true
      readonly answers: readonly ImageAnswer[]
      readonly maxImages: number
      readonly wantsBatches: boolean
      readonly warnings: readonly string[]
      readonly threadId: number
      /** How long the backend worked on the images. */
      readonly workMs: number
    }
  | { readonly ok: false; readonly error: ThreadError; readonly threadId: number }
