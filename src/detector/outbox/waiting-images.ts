import type { Entry } from './entries.js'

/** Reserved room for an image that is being written. */
type Reservation = {
  /** Adds the image and returns those that were removed for it. */
  commit(entry: Entry): readonly Entry[]
  /** The image was not written; those that were removed for it come back. */
  cancel(): void
}

/** The images of an outbox that wait, in memory: sorted, counted, and within the limits. */
export type WaitingImages = {
  /** Undefined if no room can be made. */
  reserve(bytes: number, isPriority: boolean): Reservation | undefined
  /**
   * The next images to send, priority first, then oldest first; they are held until they are released or removed. If there
   * is no other, one of those that were put last.
   */
  next(count: number): Entry[]
  /** From now on it comes after all others, also after those that were put last before. */
  putLast(entry: Entry): void
  release(entries: readonly Entry[]): void
  remove(entry: Entry): void
  /** Number of images that are not held, without those that were put last. */
  sendable(): number
  figures(): { readonly normal: number; readonly priority: number; readonly bytes: number }
}

export type WaitingLimits = { readonly maxImages: number; readonly maxBytes: number }

/**
 * Beyond the limits the oldest normal image is removed; a priority image only for another priority image, if no normal one is
 * left. Held images stay. If more than the limits were found at the start, they stay too, but their number does not grow.
 */
export function createWaitingImages(limits: WaitingLimits, found: readonly Entry[]): WaitingImages {
  const normal = createRow(found.filter(({ isPriority }) => !isPriority))
  const priority = createRow(found.filter(({ isPriority }) => isPriority))
  const rowOf = ({ isPriority }: Entry) => (isPriority ? priority : normal)
  const held = new Set<Entry>()
  const last = new Set<Entry>()
  let bytes = found.reduce((sum, entry) => sum + entry.bytes, 0)
  let reserved = { images: 0, bytes: 0 }
  let most = { images: found.length, bytes }

  const images = () => normal.entries.length + priority.entries.length
  const freeOnes = (entries: Iterable<Entry>) => [...entries].filter((entry) => !held.has(entry))
  const reserveMore = (count: number, size: number) => {
    reserved = { images: reserved.images + count, bytes: reserved.bytes + size }
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

  /** Removes images for one of this size; undefined, and none is removed, if that does not make room enough. */
  function makeRoom(size: number, isPriority: boolean): Entry[] | undefined {
    const maxImages = Math.max(limits.maxImages, most.images)
    const maxBytes = Math.max(limits.maxBytes, most.bytes)
    const rows = isPriority ? [normal, priority] : [normal]
    const candidates = (function* () {
      for (const row of rows) for (const entry of row.entries) if (!held.has(entry)) yield entry
    })()
    const removed: Entry[] = []
    let [countLeft, bytesLeft] = [images() + reserved.images + 1, bytes + reserved.bytes + size]
    while (countLeft > maxImages || bytesLeft > maxBytes) {
      const next = candidates.next()
      if (next.done === true) return undefined
      removed.push(next.value)
      countLeft -= 1
      bytesLeft -= next.value.bytes
    }
    const before = most
    for (const entry of removed) remove(entry)
    most = before // the new image takes their room
    return removed
  }

  return {
    reserve(size, isPriority) {
      const removed = size > limits.maxBytes ? undefined : makeRoom(size, isPriority)
      if (removed === undefined) return undefined
      reserveMore(1, size)
      return {
        commit(entry) {
          reserveMore(-1, -size)
          add(entry)
          return removed
        },
        cancel() {
          reserveMore(-1, -size)
          for (const entry of removed) add(entry)
        },
      }
    },
    next(count) {
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
    sendable: () => images() - held.size - freeOnes(last).length,
    figures: () => ({ normal: normal.entries.length, priority: priority.entries.length, bytes }),
  }
}

/** Entries sorted by name, which is nearly always the order in which they are added. */
function createRow(found: readonly Entry[]) {
  const entries = [...found].sort(compare)

  /** The index of the entry, or where it would be inserted. */
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
  const [left, right] = a.name === b.name ? [a.folder, b.folder] : [a.name, b.name]
  return left < right ? -1 : left > right ? 1 : 0
}
