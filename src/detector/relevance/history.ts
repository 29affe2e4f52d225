/** Objects that a camera has seen, boxes or points, by category and with the time of the last sighting. */
export type History<Place> = {
  /** Returns whether a similar object is known, and renews the time of all similar ones; otherwise the object is added. */
  see(category: string, place: Place, atMs: number): boolean
}

export type HistoryOptions<Place> = {
  readonly isSimilar: (known: Place, place: Place) => boolean
  readonly forgetMs: number
  /** Per category; beyond it, objects with the oldest sightings are removed. */
  readonly maxObjects: number
}

type Observation<Place> = { readonly place: Place; seenAtMs: number }

export function createHistory<Place>({ isSimilar, forgetMs, maxObjects }: HistoryOptions<Place>): History<Place> {
  const byCategory = new Map<string, Observation<Place>[]>()

  function recall(category: string, atMs: number): Observation<Place>[] {
    let known = (byCategory.get(category) ?? []).filter(({ seenAtMs }) => atMs - seenAtMs <= forgetMs)
    // Removes a tenth more than needed, so that this is not done for every object.
    if (known.length >= maxObjects) known = newest(known, Math.floor(maxObjects * 0.9))
    byCategory.set(category, known)
    return known
  }

  return {
    see(category, place, atMs) {
      const known = recall(category, atMs)
      const similar = known.filter((observation) => isSimilar(observation.place, place))
      for (const observation of similar) observation.seenAtMs = atMs
      if (similar.length > 0) return true
      known.push({ place, seenAtMs: atMs })
      return false
    },
  }
}

function newest<Place>(observations: readonly Observation<Place>[], count: number): Observation<Place>[] {
  return [...observations].sort((a, b) => b.seenAtMs - a.seenAtMs).slice(0, count)
}
