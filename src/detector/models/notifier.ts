/** Wakes a caller that waits; a notification before the wait is kept. */
export class Notifier {
  #isNotified = false
  #wake: (() => void) | undefined

  notify(): void {
    this.#isNotified = true
    this.#wake?.()
  }

  /** Resolves after the next notification, or immediately if there was one since the last call. */
  async notified(): Promise<void> {
    while (!this.#isNotified) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    this.#isNotified = false
  }
}
