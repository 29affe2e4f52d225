import type { ImageSource } from '../../images/index.js'
import type { Backend } from '../backends/backend.js'
import type { Findings } from '../findings/findings.js'

export type InferencePoolOptions = {
  readonly backend: Backend
  /** Two at least; by default one less than the machine has cores. A program is always one. */
  readonly threads?: number
  readonly confidence?: 'unit' | 'percent'
  /** Images that may wait for a thread; more are refused with LF_INFERENCE_BUSY. */
  readonly maxQueue?: number
  /** What a request without a deadline of its own gets; none by default. */
  readonly deadlineMs?: number
  /**
   * Most images of one run. Only what already waits is put together, and only where the model has a free batch axis
   * or the backend takes several. By default ONNX models see one at a time, other backends as many as they ask for.
   */
  readonly batch?: { readonly maxImages: number }
  /** Larger images are refused with LF_IMAGE_TOO_LARGE; 64 million by default. */
  readonly maxPixels?: number
  /** A thread or program that needs longer for one image is ended and replaced; a minute by default. */
  readonly timeoutMs?: number
  /** How long a model may take to be loaded, from the start of its thread or program on; five minutes by default. */
  readonly loadMs?: number
  /** How long an ONNX model may take for its first image, with which it is tried; a minute by default. */
  readonly warmUpMs?: number
  /** A thread whose JavaScript heap grows beyond is ended and replaced. */
  readonly maxHeapMb?: number
}

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
   * `isImageError` recognises a bad image; `details.retryAfterSeconds` is the time until a retry.
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
