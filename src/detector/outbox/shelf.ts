import type { Entry } from './entries.js'

/** Room on the shelf for an image that is being written. @internal */
export type Claim = {
  /** Puts the image on the shelf; the answer are those that had to go for it. */
  fulfil(entry: Entry): readonly Entry[]
  /** Nothing came of it, so nobody has to go. */
  cancel(): void
}

/** What waits, in memory: in order, counted, and within its limits. */
export type Shelf = {
  /** Undefined when no room can be made. */
  claim(bytes: number, isPriority: boolean): Claim | undefined
  /**
   * The next images, priority first and oldest first; they are held until they are released or removed. Only when no
   * other is left, one of those that are to come last.
   */
  take(count: number): Entry[]
  /** From now on it comes after all others, those that came last before it included. */
  putLast(entry: Entry): void
  release(entries: readonly Entry[]): void
  remove(entry: Entry): void
  /** How many could be taken now, without those that come last. */
  free(): number
  figures(): { readonly normal: number; readonly priority: number; readonly bytes: number }
}

export type ShelfLimits = { readonly maxImages: number; readonly maxBytes: number }

/**
 * Past the limits the oldest normal image goes; a priority image only for another one of them when no normal one is
 * left. What is being sent stays. An outbox that was fuller at its start does not grow, and nothing is dropped at once.
 */
export function createShelf(limits: ShelfLimits, found: readonly Entry[]): Shelf {
  const normal = createRow(found.filter(({ isPriority }) => !isPriority))
  const priority = createRow(found.filter(({ isPriority }) => isPriority))
  const rowOf = ({ isPriority }: Entry) => (isPriority ? priority : normal)
  const held = new Set<Entry>()
  const last = new Set<Entry>()
  let bytes = found.reduce((sum, entry) => sum + entry.bytes, 0)
  let claimed = { images: 0, bytes: 0 }
  let most = { images: found.length, bytes }

  const images = () => normal.entries.length + priority.entries.length
  const freeOnes = (entries: Iterable<Entry>) => [...entries].filter((entry) => !held.has(entry))
  const claimMore = (count: number, size: number) => {
    claimed = { images: claimed.images + count, bytes: claimed.bytes + size }
  }

  function remove(entry: Entry): void {
    held.delete(entry)
    last.delete(entry)
    if (!rowOf(entry).remove(entry)) return
    bytes -= entry.bytes
    most = { images: Math.min(most.images, images()), bytes: Math.min(most.bytes, bytes) }
  }

  function add(entry: Entry): void {
    rowOf(entry).add(entry)
    bytes += entry.bytes
  }

  /** Takes off the shelf who has to go for an image of this size; undefined, and nobody goes, if that is not enough. */
  function makeRoom(size: number, isPriority: boolean): Entry[] | undefined {
    const maxImages = Math.max(limits.maxImages, most.images)
    const maxBytes = Math.max(limits.maxBytes, most.bytes)
    const rows = isPriority ? [normal, priority] : [normal]
    const candidates = (function* () {
      for (const row of rows) for (const entry of row.entries) if (!held.has(entry)) yield entry
    })()
    const going: Entry[] = []
    let [countLeft, bytesLeft] = [images() + claimed.images + 1, bytes + claimed.bytes + size]
    while (countLeft > maxImages || bytesLeft > maxBytes) {
      const next = candidates.next()
      if (next.done === true) return undefined
      going.push(next.value)
      countLeft -= 1
      bytesLeft -= next.value.bytes
    }
    const before = most
    for (const entry of going) remove(entry)
    most = before // their place is taken at once
    return going
  }

  return {
    claim(size, isPriority) {
      const going = size > limits.maxBytes ? undefined : makeRoom(size, isPriority)
      if (going === undefined) return undefined
      claimMore(1, size)
      return {
        fulfil(entry) {
          claimMore(-1, -size)
          add(entry)
          return going
        },
        cancel() {
          claimMore(-1, -size)
          for (const entry of going) add(entry)
        },
      }
    },
    take(count) {
      const taken: Entry[] = []
      for (const row of [priority, normal]) {
        for (const entry of row.entries) {
          if (taken.length === count) break
          if (!held.has(entry) && !last.has(entry)) taken.push(entry)
        }
      }
      if (taken.length === 0) taken.push(...freeOnes(last).slice(0, 1))
      for (const entry of taken) held.add(entry)
      return taken
    },
    release(entries) {
      for (const entry of entries) held.delete(entry)
    },
    remove,
    putLast(entry) {
      last.delete(entry)
      last.add(entry)
    },
    free: () => images() - held.size - freeOnes(last).length,
    figures: () => ({ normal: normal.entries.length, priority: priority.entries.length, bytes }),
  }
}

/** Entries in the order of their names, which is nearly always the order in which they come. */
function createRow(found: readonly Entry[]) {
  const entries = [...found].sort(compare)

  /** Where the entry stands or would stand. */
  function indexOf(entry: Entry): number {
    let [low, high] = [0, entries.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      const other = entries[middle]
      if (other !== undefined && compare(other, entry) < 0) low = middle + 1
      else high = middle
    }
    return low
  }

  return {
    entries: entries as readonly Entry[],
    add(entry: Entry): void {
      entries.splice(indexOf(entry), 0, entry)
    },
    remove(entry: Entry): boolean {
      const at = indexOf(entry)
      if (entries[at]?.folder !== entry.folder) return false
      entries.splice(at, 1)
      return true
    },
  }
}

function compare(a: Entry, b: Entry): number {
  const [left, right] = a.ident === b.ident ? [a.folder, b.folder] : [a.ident, b.ident]
  return left < right ? -1 : left > right ? 1 : 0
}
