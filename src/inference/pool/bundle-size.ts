/** Estimated time of one bundle: an image that another thread could begin immediately waits for no longer than this. */
const BUDGET_MS = 2
const MOST_IMAGES = 16
/** Weight of a faster run in the estimate; a slower run replaces the estimate. */
const FALL = 1 / 8

/**
 * How many waiting images go to a thread in one message, although the backend processes them one by one: if an image takes
 * a fraction of a millisecond, the message costs more than the work. One, until such a time was measured.
 */
export class BundleSize {
  #imageMs = Number.POSITIVE_INFINITY

  get most(): number {
    return Math.max(1, Math.min(MOST_IMAGES, Math.floor(BUDGET_MS / this.#imageMs)))
  }

  /** How long a thread worked on so many images. */
  learn(images: number, workMs: number): void {
    const imageMs = Math.max(workMs, 0.001) / images
    const isFaster = imageMs < this.#imageMs && Number.isFinite(this.#imageMs)
    this.#imageMs = isFaster ? this.#imageMs + (imageMs - this.#imageMs) * FALL : imageMs
  }
}
