import type { OwnedImage } from '../../images/index.js'
import type { Findings } from '../findings/findings.js'
import type { ThreadError } from './thread-error.js'

/** The answer to one image; errors are data, since most of them cross the border of a thread or process. */
export type ImageAnswer =
  | { readonly ok: true; readonly findings: Findings }
  | { readonly ok: false; readonly error: ThreadError }

/** A batch that is done. */
export type Batch = {
  /** One per image, in order. */
  readonly answers: readonly ImageAnswer[]
  /** Of the thread or process that worked on it. */
  readonly threadId: number
  /** How long the work itself took, without the way there and back. */
  readonly workMs: number
}

/** A batch that is under way. */
export type StartedBatch = {
  /** Rejects with LF_INFERENCE_TIMEOUT, LF_INFERENCE_THREAD_DIED or LF_INFERENCE_PROGRAM_DIED. */
  readonly done: Promise<Batch>
  /** How many of its images the backend has been given so far. */
  begun(): number
}

/** Starts have failed several times in a row. */
export type Outage = {
  readonly cause: unknown
  /** When the next start is tried, by `performance.now()`. */
  readonly nextStartAt: number
}

/** Works on batches of images: the threads of a model, or a program. It replaces what ends or hangs. */
export interface Runner {
  /** Images that the backend takes in one call; 1 if it takes them one by one. */
  readonly maxImages: number
  /** Whether that many are wanted when nobody has said how many. */
  readonly wantsBatches: boolean
  /** Whether a batch may have more images than the backend takes in one call. */
  readonly takesBundles: boolean
  /** Doubts about the model that somebody should know of. */
  readonly warnings: readonly string[]
  /** Ids of all threads or processes that have loaded the model, also of those that were replaced. */
  readonly threadIds: ReadonlySet<number>
  /** Batches that it takes now. */
  readonly free: number
  /** Batches that it can work on side by side now. */
  readonly width: number
  /** Set while images should be refused instead of waiting. */
  readonly outage: Outage | undefined
  /** Loads the model; rejects with the reason, or if that takes too long. */
  start(): Promise<void>
  /** Gives the backend so many images `atOnce` until all are done. Only while `free` is above zero. */
  run(images: readonly OwnedImage[], atOnce: number): StartedBatch
  /** Ends all threads or the program, when what is under way is done; a lost thread is not waited for. */
  close(): Promise<void>
}

export type RunnerDeps = {
  /** Called when `free` or `outage` has changed. */
  readonly onChange: () => void
}
