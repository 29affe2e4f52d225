import { expect } from 'chai'
import { type Fleet, startFleet } from '../helpers/fleet.js'

describe('stop and abort', function () {
  this.timeout(60_000)
  let fleet: Fleet

  before(async () => {
    fleet = await startFleet()
  })
  after(async () => fleet?.close())

  it('walks a training from order to detections', async () => {
    await fleet.order({ hyperparameters: { epochs: 2 } })

    await fleet.until({ ended: true })

    expect(fleet.seen()).to.include({ outcome: 'completed', train_image_count: 6, test_image_count: 2 })
    expect(fleet.seen().models).to.have.lengthOf(1)
    expect(fleet.seen().models[0]?.formats).to.have.members(['mocked', 'mocked_converted'])
    expect(Object.values(fleet.detectionCounts())).to.deep.equal(Array(10).fill(1))
    expect(fleet.states()).to.include.members(['data_downloading', 'running', 'train_model_uploading', 'detecting'])
  })
})
