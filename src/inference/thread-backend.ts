import type { OwnedImage } from './image-source.js'
import type { LaneAnswer } from './lane.js'

/** What works in a thread: a loaded model, or a module's own. */
export type ThreadBackend = {
  /** Images it takes at once. */
  readonly maxImages: number
  /** Whether it is better off with several. */
  readonly wantsBatches: boolean
  /** Doubts about the model that somebody should know of. */
  readonly warnings?: readonly string[]
  /** One answer per image, in order. */
  detect(images: readonly OwnedImage[]): Promise<LaneAnswer[]>
  close(): Promise<void>
}
