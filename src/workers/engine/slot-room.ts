import type { GpuCount, Slots } from '../../executors/gpu/index.js'

/**
 * What one more training would find on a host: slots of its own; none, but it would be the next one for them; or others that wait for
 * them already.
 */
export type Room = 'now' | 'next' | 'none'

/** A training of this host that will need slots, until it has them. */
export type SlotDemand = {
  /** It waits for something else, and its place is lent meanwhile. */
  isLent: boolean
  end(): void
}

/** Which slots are spoken for, though not lent yet: trainings download first. */
export type SlotRoom = {
  begin(count: GpuCount): SlotDemand
  roomFor(count: GpuCount): Room
}

export function createSlotRoom(slots: Pick<Slots, 'free' | 'gpus'>): SlotRoom {
  const demands = new Set<SlotDemand & { readonly count: GpuCount }>()
  const isForCpu = (count: GpuCount) => count === 0 || (count === 'auto' && slots.gpus.length === 0)
  const sizeOf = (count: GpuCount) => (typeof count === 'number' ? Math.max(1, count) : 1)

  return {
    begin(count) {
      const demand = { count, isLent: false, end: () => void demands.delete(demand) }
      demands.add(demand)
      return demand
    },
    roomFor(count) {
      const forCpu = isForCpu(count)
      const { gpus, cpu } = slots.free()
      const free = forCpu ? cpu : gpus.length
      const claimed = [...demands].filter((each) => !each.isLent && isForCpu(each.count) === forCpu)
      const wanted = claimed.reduce((sum, each) => sum + sizeOf(each.count), 0)
      if (wanted + sizeOf(count) <= free) return 'now'
      return wanted <= free ? 'next' : 'none'
    },
  }
}
