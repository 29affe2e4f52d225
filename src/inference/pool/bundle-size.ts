/** Work of one bundle, as far as it can be known; what another thread could begin immediately must not wait for longer. */
const BUDGET_MS = 2
const MOST_IMAGES = 16
/** Share of the way back that the estimate goes with each run that was faster; slower ones count at once and in full. */
const FALL = 1 / 8

/**
 * How many waiting images may go to a thread in one message although the backend takes them one by one: the way there
 * and back costs more than the work when that is a fraction of a millisecond. One, until it is known to be so.
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
