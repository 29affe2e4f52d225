/** Numbers from 0 to 1 that are the same for the same seed. */
export function createRandom(seed: number): () => number {
  let state = (Math.abs(Math.trunc(seed)) % 2147483646) + 1
  return () => {
    state = (state * 48271) % 2147483647
    return state / 2147483647
  }
}

/** A seed from a number and words, so that each place of a table has a sequence of its own. */
export function seedOf(seed: number, ...words: readonly string[]): number {
  let hash = seed >>> 0
  for (const sign of words.join('/')) hash = (Math.imul(hash ^ sign.charCodeAt(0), 0x01000193) + 0x9e37) >>> 0
  return hash
}

/** A whole number from 0 to `most`. */
export function upTo(most: number, random: () => number): number {
  return Math.min(most, Math.floor(random() * (most + 1)))
}

export function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const keyed = items.map((item) => ({ item, key: random() }))
  return keyed.sort((a, b) => a.key - b.key).map(({ item }) => item)
}
