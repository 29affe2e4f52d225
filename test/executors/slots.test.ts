import { expect } from 'chai'
import type { GpuOffer } from '../../src/executors/gpu/gpu-offer.js'
import { createSlots, type Lease } from '../../src/executors/gpu/slots.js'
import { rejection } from '../helpers/rejection.js'

const { signal } = new AbortController()

describe('slots', () => {
  it('lend each GPU once, and again after its release', async () => {
    const slots = createSlots({ gpus: [0, 1] })
    const first = await slots.acquire(1, { signal })
    const second = await slots.acquire(1, { signal })
    const third = slots.acquire(1, { signal })

    second.release()
    second.release()

    expect(first.slots).to.deep.equal([0])
    expect((await third).slots).to.deep.equal([1])
    expect(slots.free()).to.deep.equal({ gpus: [], cpu: 1 })
  })

  it('serve who came first, so that a large wish is not overtaken indefinitely', async () => {
    const slots = createSlots({ gpus: [0, 1] })
    const order: string[] = []
    const held = await slots.acquire(1, { signal })
    const large = slots.acquire(2, { signal }).then(note(order, 'large'))
    const small = slots.acquire(1, { signal }).then(note(order, 'small'))

    held.release()
    const largeLease = await large
    largeLease.release()
    await small

    expect(largeLease.slots).to.deep.equal([0, 1])
    expect(order).to.deep.equal(['large', 'small'])
  })

  it('lend the one CPU slot of a host without GPUs', async () => {
    const slots = createSlots({ gpus: null })
    const first = await slots.acquire('auto', { signal })
    let isServed = false
    const second = slots.acquire('auto', { signal }).then((lease) => {
      isServed = true
      return lease
    })
    await Promise.resolve()

    expect(first.slots).to.deep.equal([])
    expect(isServed).to.equal(false)
    first.release()
    expect((await second).slots).to.deep.equal([])
  })

  it('let work for the CPU pass by those who wait for a GPU', async () => {
    const slots = createSlots({ gpus: [0] })
    await slots.acquire(1, { signal })
    const waiting = new AbortController()
    const refused = rejection(slots.acquire(1, { signal: waiting.signal }))

    expect((await slots.acquire(0, { signal })).slots).to.deep.equal([])

    waiting.abort(new Error('enough'))
    expect((await refused).message).to.equal('enough')
  })

  it('put the rest of a training ahead of new ones', async () => {
    const slots = createSlots({ gpus: [0] })
    const held = await slots.acquire(1, { signal })
    const order: string[] = []
    const fresh = slots.acquire(1, { signal }).then(note(order, 'new'))
    const rest = slots.acquire(1, { signal, ahead: true }).then(note(order, 'rest'))

    held.release()
    const restLease = await rest
    restLease.release()
    await fresh

    expect(order).to.deep.equal(['rest', 'new'])
  })

  it('go to the next when a large wish in front is given up', async () => {
    const slots = createSlots({ gpus: [0, 1] })
    await slots.acquire(1, { signal })
    const large = new AbortController()
    const refused = rejection(slots.acquire(2, { signal: large.signal }))
    const small = slots.acquire(1, { signal })

    large.abort(new Error('given up'))

    expect((await refused).message).to.equal('given up')
    expect((await small).slots).to.deep.equal([1])
  })

  it('refuse immediately what the host cannot lend at all, and a wish that is already given up', async () => {
    const slots = createSlots({ gpus: [0] })

    expect(await rejection(slots.acquire(2, { signal }))).to.include({ code: 'LF_NOT_ENOUGH_GPUS' })
    expect((await rejection(slots.acquire(1, { signal: AbortSignal.abort(new Error('late')) }))).message).to.equal(
      'late',
    )
    expect(slots.free().gpus).to.deep.equal([0])
  })

  it('lend one GPU for auto where there is any', async () => {
    const slots = createSlots({ gpus: [0, 1] })

    expect((await slots.acquire('auto', { signal })).slots).to.deep.equal([0])
  })

  it('never lend the CPU for a number of GPUs', async () => {
    const slots = createSlots({ gpus: null })

    const error = await rejection(slots.acquire(1, { signal }))

    expect(error).to.include({ code: 'LF_NOT_ENOUGH_GPUS', failure: 'transient' })
  })

  it('lend nothing but the CPU slot while GPUs are unreadable, neither for a number nor for auto', async () => {
    const slots = createSlots({ gpus: null })
    slots.setOffer({ state: 'unreadable', reason: 'driver mismatch' })

    for (const count of [1, 'auto'] as const) {
      const error = await rejection(slots.acquire(count, { signal }))
      expect(error).to.include({ code: 'LF_GPUS_UNREADABLE' })
      expect(error.message).to.include('driver mismatch')
    }
    expect((await slots.acquire(0, { signal })).slots).to.deep.equal([])
  })

  it('refuse those that wait when the GPUs become unreadable, and leave alone what is lent', async () => {
    const slots = createSlots({ gpus: null })
    slots.setOffer(anOffer(0))
    const held = await slots.acquire(1, { signal })
    const refused = rejection(slots.acquire('auto', { signal }))

    slots.setOffer({ state: 'unreadable', reason: 'gone' })

    expect(await refused).to.include({ code: 'LF_GPUS_UNREADABLE' })
    expect(held.visible).to.deep.equal(['GPU-0'])
    slots.setOffer(anOffer(0))
    expect(slots.free().gpus).to.deep.equal([])
    held.release()
    expect(slots.free().gpus).to.deep.equal([0])
  })

  it('lend a card once, also after the driver has counted the cards again', async () => {
    const slots = createSlots({ gpus: null })
    slots.setOffer(anOffer(0, 1))
    await slots.acquire(1, { signal })
    const second = await slots.acquire(1, { signal })

    slots.setOffer({ state: 'gpus', reason: null, cards: [{ key: 'GPU-1', index: 0, name: null, visible: '0' }] })

    expect(second.visible).to.deep.equal(['0'])
    expect(slots.free().gpus).to.deep.equal([])
  })
})

function anOffer(...indices: number[]): GpuOffer {
  const cards = indices.map((index) => ({ key: `GPU-${index}`, index, name: null, visible: String(index) }))
  return { state: 'gpus', reason: null, cards }
}

/** Writes down who got a lease, in the order they got it. */
function note(order: string[], name: string): (lease: Lease) => Lease {
  return (lease) => {
    order.push(name)
    return lease
  }
}
