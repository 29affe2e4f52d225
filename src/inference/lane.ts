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
}

export type LaneRun = { readonly answers: readonly LaneAnswer[]; readonly threadId: number }

/** One place where images are worked on, a batch at a time: a thread, or a program. */
export interface Lane {
  /** Loads the model, also again after a failed run; rejects with the reason, or if it takes too long. */
  start(): Promise<LaneStart>
  /**
   * One answer per image, in order. Rejects with LF_INFERENCE_TIMEOUT, LF_INFERENCE_THREAD_DIED or
   * LF_INFERENCE_PROGRAM_DIED; the lane must then be started again.
   */
  run(images: readonly OwnedImage[]): Promise<LaneRun>
  close(): Promise<void>
  /** Makes the lane safe to be ended by the process's exit. */
  prepareExit(maxMs: number): void
}
