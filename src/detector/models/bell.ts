/** Wakes the caller that waits; a ring before the wait is kept. */
export class Bell {
  #isRung = false
  #wake: (() => void) | undefined

  ring(): void {
    this.#isRung = true
    this.#wake?.()
  }

  /** Resolves after the next ring, or immediately if there was one since the last call. */
  async rung(): Promise<void> {
    while (!this.#isRung) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    this.#isRung = false
  }
}
