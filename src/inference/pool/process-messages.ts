import type { ImageSource } from '../../images/index.js'
import type { ThreadError } from '../backends/thread-error.js'
import type { DetectResult, InferencePoolOptions } from './inference-pool.js'

/** What a process that holds a pool is asked; each request is answered once. */
export type HostRequest =
  | { readonly id: number; readonly kind: 'start'; readonly options: InferencePoolOptions; readonly logLevel: string }
  | { readonly id: number; readonly kind: 'detect'; readonly image: ImageSource }
  | { readonly id: number; readonly kind: 'close' }

export type HostAnswer =
  | {
      readonly id: number
      readonly ok: true
      readonly threadIds: readonly number[]
      readonly warnings: readonly string[]
      readonly found?: DetectResult
    }
  | { readonly id: number; readonly ok: false; readonly error: ThreadError }
