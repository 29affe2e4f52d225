import { expect } from 'chai'
import { rejection } from '../helpers/rejection.js'
import { UUID_A, useSeats } from './seats-fixture.js'

describe('two trainer nodes with one uuid', () => {
  const seats = useSeats()

  it('are not possible from two places: the second refuses immediately and says who has it', async () => {
    await seats.startNode({ seats: 1, owner: 'lab-1:/data' })

    const error = await rejection(seats.startNode({ seats: 1, owner: 'lab-2:/data' }))

    expect(error.code).to.equal('LF_NAME_TAKEN')
    expect(error.message).to.include(UUID_A).and.to.include('lab-1:/data')
    expect(seats.shown()?.connected).to.equal(true)
  })

  it('are one node that was killed and started again in its place', async () => {
    await seats.startNode({ seats: 1, owner: 'lab-1:/data' })

    await seats.startNode({ seats: 1, owner: 'lab-1:/data' })

    expect(seats.shown()?.state).to.equal('idle')
  })

  it('may follow each other in two places when the first has ended', async () => {
    const first = await seats.startNode({ seats: 1, owner: 'lab-1:/data' })
    await first.stop()

    await seats.startNode({ seats: 1, owner: 'lab-2:/data' })

    expect(seats.shown()?.state).to.equal('idle')
  })
})
