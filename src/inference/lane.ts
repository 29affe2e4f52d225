import type { Findings } from './findings.js'
import type { OwnedImage } from './image-source.js'
import type { ThreadError } from './thread-error.js'

/** What became of one image; errors are data, since most lanes end at the border of a thread or process. */
export type LaneAnswer =
  | { readonly ok: true; readonly findings: Findings }
  | { readonly ok: false; readonly error: ThreadError }

export type LaneStart = {
  /** The thread or process that works now. */
  readonly threadId: number
  /** Images it takes at once; 1 if it takes them one by one. */
  readonly maxImages: number
  /** Whether that many are asked for when nobody has said how many. */
  readonly wantsBatches: boolean
  /** Doubts about the model that somebody should know of. */
  readonly warnings?: readonly string[]
}

export type LaneRun = {
  readonly answers: readonly LaneAnswer[]
  readonly threadId: number
  /** How long the work itself took, without the way there and back. */
  readonly workMs: number
}

/** One place where images are worked on, a batch at a time: a thread, or a program. */
export interface Lane {
  /** Whether a run may have more images than the backend takes at once. */
  readonly takesBundles: boolean
  /** How many images of the present run the backend has been given; all, if the lane cannot tell. */
  readonly begun: number
  /** Loads the model, also again after a failed run; rejects with the reason, or if it takes too long. */
  start(): Promise<LaneStart>
  /**
   * Gives the backend so many images `atOnce` until all are done; one answer per image, in order. Rejects with LF_INFERENCE_TIMEOUT, LF_INFERENCE_THREAD_DIED or
   * LF_INFERENCE_PROGRAM_DIED; the lane must then be started again.
   */
  run(images: readonly OwnedImage[], atOnce: number): Promise<LaneRun>
  close(): Promise<void>
  /** Makes the lane safe to be ended by the process's exit. */
  prepareExit(maxMs: number): void
}
