/**
 * Lets a fixed number of visitors in at a time, in order of arrival; one that waits leaves when its signal aborts.
 * It stands before the thread pool because piscina ends the whole thread when a running task's signal aborts.
 */
export class Turnstile {
  #places: number
  readonly #waiting = new Set<() => void>()
  readonly #whenEmpty = new Set<() => void>()
  #inside = 0

  constructor(places: number) {
    this.#places = places
  }

  get inside(): number {
    return this.#inside
  }

  get waiting(): number {
    return this.#waiting.size
  }

  /** So many at a time from now on; nobody inside is sent out. */
  setWidth(places: number): void {
    this.#places = places
    while (this.#inside < this.#places && this.#waiting.size > 0) {
      this.#inside += 1
      this.#letNextIn()
    }
  }

  /** Resolves with the function that gives the place back; rejects with the signal's reason. */
  async enter(signal?: AbortSignal): Promise<() => void> {
    signal?.throwIfAborted()
    if (this.#inside < this.#places) this.#inside += 1
    else await this.#wait(signal)
    let isInside = true
    return () => {
      if (isInside) this.#leave()
      isInside = false
    }
  }

  /** Resolves when nobody is inside or waiting. */
  empty(): Promise<void> {
    if (this.#inside === 0) return Promise.resolve()
    return new Promise((resolve) => this.#whenEmpty.add(resolve))
  }

  #wait(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const letIn = () => {
        signal?.removeEventListener('abort', giveUp)
        resolve()
      }
      const giveUp = () => {
        this.#waiting.delete(letIn)
        reject(signal?.reason)
      }
      this.#waiting.add(letIn)
      signal?.addEventListener('abort', giveUp, { once: true })
    })
  }

  // The place goes straight to the next one, so that nobody can slip in between.
  #leave(): void {
    if (this.#inside <= this.#places && this.#waiting.size > 0) {
      this.#letNextIn()
      return
    }
    this.#inside -= 1
    if (this.#inside > 0) return
    for (const resolve of this.#whenEmpty) resolve()
    this.#whenEmpty.clear()
  }

  #letNextIn(): void {
    const [next] = this.#waiting
    if (next === undefined) return
    this.#waiting.delete(next)
    next()
  }
}
