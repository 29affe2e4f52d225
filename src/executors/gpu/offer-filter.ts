import type { GpuOffer } from './gpu-offer.js'
import type { GpuWatch } from './gpu-watch.js'

/** The offer of a host without GPUs that are set aside. */
export type OfferFilter = Pick<GpuWatch, 'offer' | 'onChange'> & {
  /** As the driver has it. */
  readonly whole: GpuOffer
  /** From now on these are not offered: their keys, with the reason for people. */
  setAside(cards: ReadonlyMap<string, string>): void
}

export function createOfferFilter(watch: Pick<GpuWatch, 'offer' | 'onChange'>): OfferFilter {
  const listeners = new Set<(offer: GpuOffer) => void>()
  let aside: ReadonlyMap<string, string> = new Map()
  watch.onChange(notify)

  function notify(): void {
    const offer = without(watch.offer, aside)
    for (const listener of [...listeners]) listener(offer)
  }

  return {
    get whole() {
      return watch.offer
    },
    get offer() {
      return without(watch.offer, aside)
    },
    onChange(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    setAside(cards) {
      if (JSON.stringify([...cards]) === JSON.stringify([...aside])) return
      aside = cards
      notify()
    },
  }
}

function without(offer: GpuOffer, aside: ReadonlyMap<string, string>): GpuOffer {
  if (offer.state !== 'gpus' || !offer.cards.some(({ key }) => aside.has(key))) return offer
  const cards = offer.cards.filter(({ key }) => !aside.has(key))
  const reasons = offer.cards.flatMap(({ key }) => aside.get(key) ?? [])
  const reason = [offer.reason, ...reasons].filter((each) => each !== null).join('; ')
  // Nothing is to run on the CPU instead.
  return cards.length === 0 ? { state: 'unreadable', reason } : { state: 'gpus', cards, reason }
}
