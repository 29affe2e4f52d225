import { expect } from 'chai'
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

  it('serve who came first, so that a large wish is not overtaken for ever', async () => {
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
    const first = await slots.acquire(1, { signal })
    let isServed = false
    const second = slots.acquire(2, { signal }).then((lease) => {
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

  it('refuse at once what the host cannot lend at all, and a wish that is already given up', async () => {
    const slots = createSlots({ gpus: [0] })

    expect(await rejection(slots.acquire(2, { signal }))).to.include({ code: 'LF_NOT_ENOUGH_GPUS' })
    expect((await rejection(slots.acquire(1, { signal: AbortSignal.abort(new Error('late')) }))).message).to.equal(
      'late',
    )
    expect(slots.free().gpus).to.deep.equal([0])
  })
})

/** Writes down who got a lease, in the order they got it. */
function note(order: string[], name: string): (lease: Lease) => Lease {
  return (lease) => {
    order.push(name)
    return lease
  }
}
