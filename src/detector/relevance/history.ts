/** What a camera has seen of late: objects of one kind by category, with the time each was seen last. */
export type History<Place> = {
  /** True when the object is known; all that are similar to it count as seen again. A new one is remembered. */
  see(category: string, place: Place, atMs: number): boolean
}

export type HistoryOptions<Place> = {
  readonly isSimilar: (known: Place, place: Place) => boolean
  readonly forgetMs: number
  /** Per category; past it those unseen for longest are forgotten early. */
  readonly maxObjects: number
}

type Observation<Place> = { readonly place: Place; seenAtMs: number }

export function createHistory<Place>({ isSimilar, forgetMs, maxObjects }: HistoryOptions<Place>): History<Place> {
  const byCategory = new Map<string, Observation<Place>[]>()

  function recall(category: string, atMs: number): Observation<Place>[] {
    let known = (byCategory.get(category) ?? []).filter(({ seenAtMs }) => atMs - seenAtMs <= forgetMs)
    // A tenth more than needed, so that this is not done for every object.
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
