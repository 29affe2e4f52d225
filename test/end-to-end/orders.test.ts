import { expect } from 'chai'
import { type Fleet, startFleet } from '../helpers/fleet.js'
import { rejection } from '../helpers/rejection.js'

// The rows of docs/reference/orders.md that need a host; the others are in test/nodes/orders.test.ts.
describe('an order that comes at an odd moment', function () {
  this.timeout(60_000)
  let fleet: Fleet
  before(async () => {
    fleet = await startFleet({ seats: 2 })
  })
  after(async () => fleet?.close())

  it('twice at once is one training', async () => {
    fleet.loop.addFault({ match: { event: 'begin_training' }, kind: 'duplicate', times: 1 })

    await fleet.order({ hyperparameters: { epochs: 1 } })
    await fleet.until({ ended: true })

    expect(await fleet.journal.count()).to.equal(1)
    expect(fleet.seen().outcome).to.equal('completed')
    expect(fleet.uploads()).to.deep.equal({ mocked: 1, mocked_converted: 1 })
  })

  it('an abort while its detections go up ends it, and its model stays at the Loop', async () => {
    await fleet.order({ hyperparameters: { epochs: 1 } })
    const hold = fleet.hold({ method: 'POST', path: '^/api/.*/detections' })
    await hold.reached()

    await fleet.abort()
    hold.release()
    await fleet.until({ ended: true })

    expect((await fleet.record()).outcome).to.equal('aborted')
    expect(fleet.seen().models).to.have.lengthOf(1)
    expect(await fleet.programs()).to.deep.equal([])
  })

  it('at another seat while it is unfinished is refused, and goes on where it is', async () => {
    const number = await fleet.order({ hyperparameters: { epochs: 100, epoch_seconds: 0.1 } })
    await fleet.until({ epoch: 1 })
    const other = fleet.loop.nodes().find((node) => node.type === 'trainer' && node.id !== fleet.seen().trainer_id)

    const refusal = await rejection(fleet.order({ trainer: other?.id ?? '', training_number: number }))
    await fleet.stop()
    await fleet.until({ ended: true })

    expect(refusal.message).to.include('is already at trainer')
    expect(fleet.uploads()).to.deep.equal({ mocked: 1, mocked_converted: 1 })
  })
})
