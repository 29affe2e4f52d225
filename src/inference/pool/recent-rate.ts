const REMEMBERED = 64
const LONGEST_SECONDS = 60

/** How fast images were done lately, to tell a client when to come again. */
export class RecentRate {
  readonly #now: () => number
  #ends: number[] = []

  constructor(now: () => number) {
    this.#now = now
  }

  add(images: number): void {
    const now = this.#now()
    for (let index = 0; index < images; index++) this.#ends.push(now)
    if (this.#ends.length > 2 * REMEMBERED) this.#ends = this.#ends.slice(-REMEMBERED)
  }

  /** Whole seconds, 1…60, until that many images will be done; 1 while nothing is known. */
  secondsFor(images: number): number {
    const ends = this.#ends.slice(-REMEMBERED)
    const [first] = ends
    if (first === undefined) return 1
    const seconds = Math.max(0.001, (this.#now() - first) / 1000)
    return Math.min(LONGEST_SECONDS, Math.max(1, Math.ceil((images * seconds) / ends.length)))
  }
}
