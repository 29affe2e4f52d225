import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { trainers } from '../executors/support.js'
import { type Fleet, startFleet } from '../helpers/fleet.js'
import { tidyUp } from '../helpers/tidy-up.js'
import { until } from '../helpers/until.js'

describe('a training whose program was interrupted', function () {
  this.timeout(60_000)
  let fleet: Fleet

  before(async () => {
    fleet = await startFleet({ trainerFile: join(trainers, 'quick/checks.yaml') })
  })
  afterEach(async function () {
    await tidyUp(fleet, this.currentTest)
  })
  after(async () => fleet?.close())

  for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
    it(`after its last epoch, by ${signal}, ends with its best model and starts no other program`, async () => {
      await fleet.order({ hyperparameters: { epochs: 3, waits_when_finished: true } })
      await fleet.until({ epoch: 3 })
      const checkpoint = join(await fleet.workspace(), 'checkpoint.json')
      await until('it is finished', async () => (await readFile(checkpoint, 'utf8')).includes('finished'))

      await fleet.killWorker(signal)
      const hold = fleet.hold({ method: 'PUT', path: '^/api/.*/trainings/' }, 3_000)
      await fleet.startWorker()
      await hold.reached()
      const starts = await fleet.starts()
      hold.release()
      await fleet.until({ ended: true })

      expect(starts).to.have.lengthOf(1)
      expect(fleet.seen()).to.deep.include({ outcome: 'completed', errors: {} })
      expect(fleet.seen().points.at(-1)?.best_epoch).to.equal(3)
      expect(fleet.uploads()).to.deep.equal({ mocked: 1, mocked_converted: 1 })
    })
  }

  it('begins with its best model if its checkpoint cannot be resumed, whatever the check says, and is completed', async () => {
    await fleet.order({ hyperparameters: { epochs: 4, bad_at_epoch: 3 } })
    const hold = fleet.hold({ method: 'PUT', path: '^/api/.*/trainings/' }, 3_000)
    await hold.reached()
    const starts = await fleet.starts()
    hold.release()
    await fleet.until({ ended: true })

    expect(starts.map(({ resume, base_model }) => ({ resume, base_model }))).to.deep.equal([
      { resume: false, base_model: null },
      { resume: true, base_model: null },
      { resume: false, base_model: { folder: 'base_model' } },
    ])
    expect(fleet.seen()).to.deep.include({ outcome: 'completed', errors: {} })
    expect(fleet.uploads()).to.deep.equal({ mocked: 1, mocked_converted: 1 })
  })
})
