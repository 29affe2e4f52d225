import type { Findings } from './findings.js'
import type { ImageSource } from './image-source.js'

export type RequestOptions = {
  /** Removes a waiting image from the queue; one that runs is let finish unseen. */
  readonly signal?: AbortSignal
  /** From now; past it the image is answered with LF_INFERENCE_DEADLINE, and not worked on if it still waits. */
  readonly deadlineMs?: number
  /** The image's memory may be moved to a thread, after which it is gone for the caller; by default it is copied. */
  readonly mayMove?: boolean
}

/** The thread that found it, or the program's process id. */
export type DetectResult = { readonly detections: Findings; readonly threadId: number }

export interface InferencePool {
  /**
   * Finds what is on one image, whose memory must not be changed before the answer. Throws InferenceError;
   * `isImageError` tells a bad image, `details.retryAfterSeconds` when to come again.
   */
  detect(image: ImageSource, options?: RequestOptions): Promise<DetectResult>
  /** The same for several, which are taken all or not at all; rejects with the first failure. */
  detectBatch(images: readonly ImageSource[], options?: RequestOptions): Promise<DetectResult[]>
  /** The threads (or processes) that have answered so far, replaced ones included. */
  readonly threadIds: readonly number[]
  /** Doubts about the model that somebody should know of: its layout or its categories are not certain. */
  readonly warnings?: readonly string[]
  /** The confidence below which nothing is answered, if the pool decides about it. */
  readonly threshold?: number
  /** Images that wait or run. */
  readonly inFlight: number
  /** Takes no more images, waits for all that were taken, then ends the threads or the program. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}
