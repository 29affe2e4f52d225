import { GpusUnreadableError, NotEnoughGpusError } from '../contract/index.js'
import type { GpuOffer, OfferedGpu } from './gpu-offer.js'

/** How many GPUs a file asks for; `auto` is one where the host has any, and the CPU slot elsewhere. */
export type GpuCount = number | 'auto'

/** Slots lent to one training until released. */
export type Lease = {
  /** Indices of the GPUs; none on the CPU slot. */
  readonly slots: readonly number[]
  /** The same GPUs with the keys that no counting changes. */
  readonly cards: readonly { readonly key: string; readonly index: number }[]
  /** What names them in CUDA_VISIBLE_DEVICES now: the driver may have counted again since they were lent. */
  readonly visible: readonly string[]
  /** May be called again, which does nothing. */
  release(): void
}

type AcquireOptions = {
  readonly signal: AbortSignal
  /** Goes ahead of those who wait already, for the rest of a training that has its model. */
  readonly ahead?: boolean
  /** Keys of GPUs that are lent only if no others are free. */
  readonly spare?: readonly string[]
  /** It waits for others instead, unless this host offers too few others. */
  readonly mustSpare?: boolean
}

export type Slots = {
  /**
   * Waits, first come first served, until so many GPUs are free, or the CPU slot for 0 and for `auto` without GPUs.
   * Throws LF_NOT_ENOUGH_GPUS or LF_GPUS_UNREADABLE as soon as this host cannot lend them, or the signal's reason.
   */
  acquire(count: GpuCount, options: AcquireOptions): Promise<Lease>
  /** From now on these are lent; what is lent stays so until its release. */
  setOffer(offer: GpuOffer): void
  /** All GPU indices of this host; none where only the CPU slot is. */
  readonly gpus: readonly number[]
  /** What is free now, for the dashboard. */
  free(): { readonly gpus: readonly number[]; readonly cpu: number }
}

type Waiter = {
  readonly count: GpuCount
  readonly spare: readonly string[]
  readonly mustSpare: boolean
  readonly grant: (lease: Lease) => void
  readonly refuse: (error: Error) => void
}

export type SlotsOptions = {
  /** The GPUs of a host whose cards never change; null or empty is a host without. */
  readonly gpus: readonly number[] | null
  readonly cpuSlots?: number
}

/** The sentence why a host cannot lend so many GPUs, as an error; undefined when it can, now or later. */
export function refusalOf(offer: GpuOffer, count: GpuCount): NotEnoughGpusError | GpusUnreadableError | undefined {
  if (count === 0) return undefined
  switch (offer.state) {
    case 'unreadable':
      return new GpusUnreadableError(offer.reason)
    case 'none':
      return count === 'auto' ? undefined : new NotEnoughGpusError({ wanted: count, present: 0, reason: offer.reason })
    case 'gpus': {
      const present = offer.cards.length
      if (count === 'auto' || count <= present) return undefined
      return new NotEnoughGpusError({ wanted: count, present, reason: offer.reason })
    }
    default:
      return offer satisfies never
  }
}

/** The slots of one host; `setOffer` says what it has when that is read from a driver. */
export function createSlots(options: SlotsOptions): Slots {
  const lent = new Set<string>()
  const waiters: Waiter[] = []
  let offer = fixedOffer(options.gpus ?? [])
  let freeCpus = options.cpuSlots ?? 1

  const offered = () => (offer.state === 'gpus' ? offer.cards : [])
  const freeGpus = () => offered().filter(({ key }) => !lent.has(key))
  const gpusFor = (count: GpuCount) => (count === 'auto' ? Math.min(1, offered().length) : count)
  const isForCpu = (count: GpuCount) => gpusFor(count) === 0

  /** GPUs and the CPU slot are two queues; within each, nobody overtakes, or a large order would wait indefinitely. */
  function serve(): void {
    for (const waiter of [...waiters]) {
      const refusal = refusalOf(offer, waiter.count)
      if (refusal === undefined) continue
      remove(waiter)
      waiter.refuse(refusal)
    }
    for (const forCpu of [true, false]) {
      let next = nextWaiter(forCpu)
      while (next !== undefined) {
        remove(next)
        next.grant(lend(next))
        next = nextWaiter(forCpu)
      }
    }
  }

  /** The first one, if it can be served; what waits for certain GPUs lets those behind it have the others. */
  function nextWaiter(forCpu: boolean): Waiter | undefined {
    const queue = waiters.filter((waiter) => isForCpu(waiter.count) === forCpu)
    const next = queue.find((waiter) => fits(waiter) || !waiter.mustSpare)
    return next !== undefined && fits(next) ? next : undefined
  }

  function remove(waiter: Waiter): void {
    const at = waiters.indexOf(waiter)
    if (at >= 0) waiters.splice(at, 1)
  }

  function fits(waiter: Waiter): boolean {
    return isForCpu(waiter.count) ? freeCpus > 0 : freeFor(waiter).length >= gpusFor(waiter.count)
  }

  /** The best ones first. */
  function freeFor({ count, spare, mustSpare }: Waiter): OfferedGpu[] {
    const isSpared = ({ key }: OfferedGpu) => spare.includes(key)
    const others = offered().filter((card) => !isSpared(card))
    const free = freeGpus().sort((one, other) => spare.lastIndexOf(one.key) - spare.lastIndexOf(other.key))
    return mustSpare && others.length >= gpusFor(count) ? free.filter((card) => !isSpared(card)) : free
  }

  function lend(waiter: Waiter): Lease {
    const { count } = waiter
    const forCpu = isForCpu(count)
    const free = freeFor(waiter)
    const cards = forCpu ? [] : free.slice(0, gpusFor(count)).sort((one, other) => one.index - other.index)
    if (forCpu) freeCpus -= 1
    for (const { key } of cards) lent.add(key)
    let isHeld = true
    return {
      slots: cards.map(({ index }) => index),
      cards: cards.map(({ key, index }) => ({ key, index })),
      get visible() {
        return cards.map(visibleNow)
      },
      release() {
        if (!isHeld) return
        isHeld = false
        if (forCpu) freeCpus += 1
        for (const { key } of cards) lent.delete(key)
        serve()
      },
    }
  }

  // A card that is not offered at the moment keeps the name that no counting changes.
  function visibleNow(card: OfferedGpu): string {
    const now = offered().find(({ key }) => key === card.key)
    return now?.visible ?? (card.key.startsWith('GPU-') ? card.key : card.visible)
  }

  return {
    get gpus() {
      return offered().map(({ index }) => index)
    },
    free: () => ({ gpus: freeGpus().map(({ index }) => index), cpu: freeCpus }),
    setOffer(next) {
      offer = next
      serve()
    },
    async acquire(count, { signal, ahead = false, spare = [], mustSpare = false }) {
      signal.throwIfAborted()
      return new Promise((resolve, reject) => {
        const onAbort = () => {
          remove(waiter)
          reject(signal.reason)
          serve()
        }
        const settle = () => signal.removeEventListener('abort', onAbort)
        const waiter: Waiter = {
          ...{ count, spare, mustSpare },
          grant(lease) {
            settle()
            resolve(lease)
          },
          refuse(error) {
            settle()
            reject(error)
          },
        }
        signal.addEventListener('abort', onAbort, { once: true })
        if (ahead) waiters.unshift(waiter)
        else waiters.push(waiter)
        serve()
      })
    },
  }
}

function fixedOffer(gpus: readonly number[]): GpuOffer {
  if (gpus.length === 0) return { state: 'none', reason: 'there is none' }
  const cards = [...new Set(gpus)].sort((a, b) => a - b)
  return {
    state: 'gpus',
    reason: null,
    cards: cards.map((index) => ({ key: `index ${index}`, index, name: null, visible: String(index) })),
  }
}
