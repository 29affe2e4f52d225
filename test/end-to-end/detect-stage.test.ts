import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { type Fleet, startFleet } from '../helpers/fleet.js'
import { startNodeScript } from '../helpers/node-script.js'

const IMAGES = 200
const MEASURES = new URL('../fixtures/programs/measures-its-event-loop', import.meta.url)

describe('the detect stage', function () {
  this.timeout(90_000)
  let fleet: Fleet

  before(async () => {
    const trainerFile = new URL('../fixtures/trainers/sees-the-same-boxes/trainer.yaml', import.meta.url)
    const project = { complete: IMAGES / 2, inbox: IMAGES / 2, box_categories: 2 }
    fleet = await startFleet({ trainerFile: fileURLToPath(trainerFile), project, threads: 2 })
  })
  after(async () => fleet?.close())

  it('runs on several threads and leaves the event loop of the worker free', async () => {
    const file = join(fleet.folder, 'control')
    const control = await startNodeScript(MEASURES, [file]) // an idle process waits for the same two cores
    await fleet.order({ hyperparameters: { resolution: 64 } }) // the model's boxes lie at the edge of larger inputs
    await fleet.until({ state: 'detecting' }, 60_000)
    control.process.kill('SIGUSR2')
    await fleet.until({ ended: true }, 60_000)
    await control.kill('SIGTERM')

    const { steps } = await fleet.record()
    expect(fleet.seen()).to.deep.include({ outcome: 'completed', errors: {} })
    expect(steps.detect?.result).to.include({ images: IMAGES, unreadable: 0, threads: 2 })
    const controlP99Ms = Number(await readFile(file, 'utf8'))
    expect(Object(steps.detect?.result).eventLoopDelayP99Ms).to.be.below(50 + controlP99Ms)
    expect(Object.keys(fleet.detectionCounts())).to.have.lengthOf(IMAGES)
  })
})
