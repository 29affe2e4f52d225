/** Wakes the one who waits; a ring that comes before is not lost. */
export class Bell {
  #isRung = false
  #wake: (() => void) | undefined

  ring(): void {
    this.#isRung = true
    this.#wake?.()
  }

  /** Resolves after the next ring, or at once if there was one since the last call. */
  async rung(): Promise<void> {
    while (!this.#isRung) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    this.#isRung = false
  }
}
