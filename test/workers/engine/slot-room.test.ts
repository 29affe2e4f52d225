import { expect } from 'chai'
import { createSlots } from '../../../src/executors/gpu/slots.js'
import { createSlotRoom } from '../../../src/workers/engine/slot-room.js'

const { signal } = new AbortController()

describe('the room of a host', () => {
  it('counts the slots of trainings that download, and lets one more wait', () => {
    const room = createSlotRoom(createSlots({ gpus: [0, 1] }))
    expect(room.roomFor(1)).to.equal('now')
    const first = room.begin(1)
    room.begin(1)
    expect(room.roomFor(1)).to.equal('next')
    room.begin(1)
    expect(room.roomFor(1)).to.equal('none')
    first.end()
    expect(room.roomFor(1)).to.equal('next')
  })

  it('counts what is lent until it is given back', async () => {
    const slots = createSlots({ gpus: [0, 1, 2, 3] })
    const room = createSlotRoom(slots)
    const lease = await slots.acquire(2, { signal })
    expect([room.roomFor(2), room.roomFor(3)]).to.deep.equal(['now', 'next'])
    room.begin(3)
    expect(room.roomFor(1)).to.equal('none')
    lease.release()
    expect([room.roomFor(1), room.roomFor(2)]).to.deep.equal(['now', 'next'])
  })

  it('has the CPU slot and GPUs apart, and for auto what the host has', () => {
    const room = createSlotRoom(createSlots({ gpus: [0] }))
    room.begin(0)
    expect([room.roomFor(0), room.roomFor(1), room.roomFor('auto')]).to.deep.equal(['next', 'now', 'now'])
    const withoutGpus = createSlotRoom(createSlots({ gpus: null }))
    withoutGpus.begin('auto')
    expect([withoutGpus.roomFor(0), withoutGpus.roomFor('auto')]).to.deep.equal(['next', 'next'])
  })

  it('does not count a training whose place is lent', () => {
    const room = createSlotRoom(createSlots({ gpus: [0] }))
    const demand = room.begin(1)
    demand.isLent = true
    expect(room.roomFor(1)).to.equal('now')
  })
})
