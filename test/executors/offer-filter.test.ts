import { expect } from 'chai'
import type { GpuOffer } from '../../src/executors/gpu/gpu-offer.js'
import { createOfferFilter } from '../../src/executors/gpu/offer-filter.js'
import { createSlots } from '../../src/executors/gpu/slots.js'

const card = (index: number) => ({ key: `GPU-${index}`, index, name: null, visible: String(index) })
const offerOf = (...indices: number[]): GpuOffer => ({ state: 'gpus', cards: indices.map(card), reason: null })

function filtered(first: GpuOffer) {
  let offer = first
  const listeners: ((offer: GpuOffer) => void)[] = []
  const filter = createOfferFilter({
    get offer() {
      return offer
    },
    onChange(listener) {
      listeners.push(listener)
      return () => undefined
    },
  })
  const change = (next: GpuOffer) => {
    offer = next
    for (const listener of listeners) listener(next)
  }
  return { filter, change }
}

describe('GPUs that are set aside', () => {
  it('are not offered, with their reason, and the driver is not asked', () => {
    const { filter } = filtered(offerOf(0, 1))
    const seen: GpuOffer[] = []
    filter.onChange((offer) => seen.push(offer))

    filter.setAside(new Map([['GPU-0', 'GPU 0 is suspended']]))
    filter.setAside(new Map([['GPU-0', 'GPU 0 is suspended']]))

    expect(seen).to.deep.equal([{ state: 'gpus', cards: [card(1)], reason: 'GPU 0 is suspended' }])
    expect(filter.whole).to.deep.equal(offerOf(0, 1))
  })

  it('stay aside when the driver has other GPUs, and are offered again', () => {
    const { filter, change } = filtered(offerOf(0, 1))
    filter.setAside(new Map([['GPU-0', 'GPU 0 is suspended']]))

    change(offerOf(0, 1, 2))
    const without = filter.offer
    filter.setAside(new Map())

    expect(without).to.deep.include({ cards: [card(1), card(2)] })
    expect(filter.offer).to.deep.equal(offerOf(0, 1, 2))
  })

  it('leave no CPU slot in their place when none is left', async () => {
    const { filter } = filtered(offerOf(0))
    filter.setAside(new Map([['GPU-0', 'GPU 0 is suspended']]))
    const slots = createSlots({ gpus: null })
    slots.setOffer(filter.offer)

    const { signal } = new AbortController()
    const refused = await slots.acquire('auto', { signal }).catch((error: unknown) => error)

    expect(filter.offer).to.deep.equal({ state: 'unreadable', reason: 'GPU 0 is suspended' })
    expect(refused).to.include({ code: 'LF_GPUS_UNREADABLE' })
  })
})

describe('GPUs on which a program has failed', () => {
  const { signal } = new AbortController()
  const spare = ['GPU-0']

  it('are lent last', async () => {
    const slots = createSlots({ gpus: null })
    slots.setOffer(offerOf(0, 1))

    const first = await slots.acquire(1, { signal, spare })
    const second = await slots.acquire(1, { signal, spare })

    expect([first.slots, second.slots]).to.deep.equal([[1], [0]])
  })

  it('are not lent to one that must have another, which holds up nobody else', async () => {
    const slots = createSlots({ gpus: null })
    slots.setOffer(offerOf(0, 1))
    const used = await slots.acquire(1, { signal, spare })

    const waiting = slots.acquire(1, { signal, spare, mustSpare: true })
    const behind = await slots.acquire(1, { signal })
    used.release()

    expect([behind.slots, (await waiting).slots]).to.deep.equal([[0], [1]])
  })

  it('are lent to it all the same where the host offers no others', async () => {
    const slots = createSlots({ gpus: null })
    slots.setOffer(offerOf(0))

    expect((await slots.acquire(1, { signal, spare, mustSpare: true })).slots).to.deep.equal([0])
  })
})
