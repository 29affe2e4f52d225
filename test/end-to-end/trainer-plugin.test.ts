import { access, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { trainers } from '../executors/support.js'
import { type Fleet, startFleet } from '../helpers/fleet.js'
import { tidyUp } from '../helpers/tidy-up.js'
import { until } from '../helpers/until.js'

const LONG = { epochs: 500, epoch_seconds: 0.1 }

describe('a trainer plug-in in a fleet', function () {
  this.timeout(90_000)
  let fleet: Fleet

  before(async () => {
    fleet = await startFleet({ trainerFile: join(trainers, 'plugin/quick.js'), threads: 1 })
  })
  afterEach(async function () {
    await tidyUp(fleet, this.currentTest)
  })
  after(async () => fleet?.close())

  it('goes from order to detections', async () => {
    await fleet.order({ hyperparameters: { epochs: 2 } })

    await fleet.until({ ended: true }, 60_000)

    expect(fleet.seen()).to.include({ outcome: 'completed', train_image_count: 6, test_image_count: 2 })
    expect(fleet.uploads()).to.deep.equal({ mocked: 1, mocked_converted: 1 })
    expect(Object.values(fleet.detectionCounts())).to.deep.equal(Array(10).fill(1))
    expect(fleet.seen().points.at(-1)?.best_epoch).to.equal(2)
  })

  it('resumes by itself from its checkpoint when its program has crashed', async () => {
    await fleet.order({ hyperparameters: { epochs: 4, crash_at_epoch: 2 } })

    await fleet.until({ ended: true }, 60_000)

    const log = await readFile(join(await fleet.workspace(), 'last_training.log'), 'utf8')
    expect(fleet.seen().outcome).to.equal('completed')
    expect(log.match(/epoch \d\/4 done/g)).to.deep.equal([1, 2, 3, 4].map((epoch) => `epoch ${epoch}/4 done`))
    expect(fleet.uploads()).to.deep.equal({ mocked: 1, mocked_converted: 1 })
  })

  it('keeps its best model when it is stopped', async () => {
    await fleet.order({ hyperparameters: LONG })
    await fleet.until({ epoch: 2 }, 60_000)

    await fleet.stop()
    await fleet.until({ ended: true }, 60_000)

    expect(fleet.seen().outcome).to.equal('completed')
    expect(fleet.uploads()).to.deep.equal({ mocked: 1, mocked_converted: 1 })
  })

  it('leaves nothing when it is aborted', async () => {
    await fleet.order({ hyperparameters: LONG })
    await fleet.until({ epoch: 1 }, 60_000)
    const workspace = await fleet.workspace()

    await fleet.abort()
    await fleet.until({ ended: true }, 60_000)

    expect(fleet.uploads()).to.deep.equal({})
    expect(await fleet.programs()).to.deep.equal([])
    await until('the workspace is gone', () =>
      access(workspace).then(
        () => false,
        () => true,
      ),
    )
  })

  it('that fails tells the Loop what its hook said, and the worker goes on', async () => {
    await fleet.order({ hyperparameters: { ...LONG, error_in_log: 'epoch 1/500' } })
    await until(
      'the Loop sees the error',
      () => JSON.stringify(fleet.seen().history).includes('the log says epoch 1/500'),
      60_000,
    )
    await fleet.abort()
    await fleet.until({ ended: true }, 60_000)

    await fleet.order({ hyperparameters: { epochs: 1 } })
    await fleet.until({ ended: true }, 60_000)

    expect(fleet.seen().outcome).to.equal('completed')
    expect(fleet.workers).to.have.lengthOf(1)
  })
})
