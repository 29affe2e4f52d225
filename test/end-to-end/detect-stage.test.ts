import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { type Fleet, startFleet } from '../helpers/fleet.js'

const IMAGES = 200

describe('the detect stage', function () {
  this.timeout(90_000)
  let fleet: Fleet

  before(async () => {
    const trainerFile = new URL('../fixtures/trainers/sees-the-same-boxes/trainer.yaml', import.meta.url)
    const project = { complete: IMAGES / 2, inbox: IMAGES / 2, box_categories: 2 }
    fleet = await startFleet({ trainerFile: fileURLToPath(trainerFile), project })
  })
  after(async () => fleet?.close())

  it('runs on several threads and leaves the event loop of the worker free', async () => {
    await fleet.order({ hyperparameters: { resolution: 64 } }) // the model's boxes lie at the edge of larger inputs
    await fleet.until({ ended: true }, 60_000)

    const { steps } = await fleet.record()
    expect(fleet.seen()).to.deep.include({ outcome: 'completed', errors: {} })
    expect(steps.detect?.result).to.include({ images: IMAGES, unreadable: 0, threads: 2 })
    expect(Object(steps.detect?.result).eventLoopDelayP99Ms).to.be.below(50)
    expect(Object.keys(fleet.detectionCounts())).to.have.lengthOf(IMAGES)
  })
})
