import type { Allocate } from './fast-images.js'

/** Larger pieces are not kept: one gigantic image must not hold memory for ever. */
const MOST_KEPT_BYTES = 32 * 1024 * 1024

/**
 * Memory for the pixels of images, used again for the image that has the same place in the next run. A fresh megabyte
 * for each image costs as much as decoding it: the kernel clears the pages, and the collector runs again and again.
 */
export class LentRows {
  readonly #kept: Buffer[] = []

  /** Lends the memory of this place; what it held before is gone. */
  at(place: number): Allocate {
    return (bytes) => {
      const kept = this.#kept[place]
      if (kept !== undefined && kept.length >= bytes) return kept.subarray(0, bytes)
      const rows = Buffer.allocUnsafeSlow(bytes)
      if (bytes <= MOST_KEPT_BYTES) this.#kept[place] = rows
      return rows
    }
  }
}
