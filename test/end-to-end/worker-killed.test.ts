import { expect } from 'chai'
import { type Fleet, startFleet } from '../helpers/fleet.js'
import { isThorough } from '../helpers/thorough.js'
import { tidyUp } from '../helpers/tidy-up.js'
import { until } from '../helpers/until.js'

const ONE_EACH = { mocked: 1, mocked_converted: 1 }
const TEN_ONCE = Array(10).fill(1)
/** The figure of faults.md holds on an idle machine, where the slow suites run. */
const PICK_UP_MS = isThorough ? 5_000 : 30_000
const MINUTES = { epochs: 600, epoch_seconds: 0.1 }

describe('a worker that ends', function () {
  this.timeout(60_000)
  let fleet: Fleet

  before(async () => {
    fleet = await startFleet()
  })
  afterEach(async function () {
    await tidyUp(fleet, this.currentTest)
  })
  after(async () => fleet?.close())

  it('hands its training back on SIGTERM, and a new worker goes on from the checkpoint', async () => {
    await fleet.order({ hyperparameters: MINUTES })
    await fleet.until({ epoch: 5 })
    const [worker] = fleet.workers

    const exit = await worker?.end()
    const programs = await fleet.programs()
    const handedBack = await fleet.record()
    await fleet.startWorker()
    await fleet.until({ epoch: (handedBack.best?.epoch ?? 0) + 2 })
    const starts = await fleet.starts()
    await fleet.stop()
    await fleet.until({ ended: true })

    expect(exit).to.include({ exitCode: 0, signal: null })
    expect(exit?.seconds).to.be.below(9)
    expect(programs).to.deep.equal([])
    expect(handedBack).to.include({ endedAt: null, fruitlessRuns: 0 })
    expect(starts).to.have.lengthOf(2)
    expect(starts[1]?.first_epoch).to.be.above(5)
    expect(fleet.seen()).to.deep.include({ outcome: 'completed', errors: {} })
    expect(fleet.states()).not.to.include('failed')
    expect(fleet.uploads()).to.deep.equal(ONE_EACH)
  })

  it('leaves no process when it is killed while training; started again it goes on from the checkpoint', async () => {
    await fleet.order({ hyperparameters: { epochs: 12, waits_at_epoch: 6 } })
    await fleet.until({ epoch: 6 })

    await fleet.killWorker('SIGKILL')
    await until('its programs are gone', async () => (await fleet.programs()).length === 0, 10_000)
    const { best } = await fleet.record()
    const hold = fleet.hold({ method: 'PUT', path: '^/api/.*/trainings/' }, 3_000)
    await fleet.startWorker()
    await hold.reached()
    const starts = await fleet.starts()
    hold.release()
    await fleet.until({ ended: true })

    expect(starts).to.have.lengthOf(2)
    expect(starts[1]).to.include({ resume: true })
    const resumedAt = starts[1]?.first_epoch ?? 0
    expect(resumedAt).to.be.at.least(best?.epoch ?? 0)
    expect(fleet.seen().points.map((point) => point.best_epoch)).to.include.members([best?.epoch, 12])
    expect(fleet.seen().outcome).to.equal('completed')
    expect(fleet.seen().models).to.have.lengthOf(1)
    expect(fleet.uploads()).to.deep.equal(ONE_EACH)
    expect(Object.values(fleet.detectionCounts())).to.deep.equal(TEN_ONCE)
  })

  it('is followed immediately by another on its folder, even while its program still ignores SIGTERM', async () => {
    await fleet.order({ hyperparameters: { epochs: 3, hang_at_epoch: 1 } })
    await fleet.until({ epoch: 1 })

    await fleet.killWorker('SIGKILL')
    await fleet.startWorker()
    await fleet.until({ epoch: 2 }, PICK_UP_MS)
    await fleet.until({ ended: true })

    expect(fleet.seen().outcome).to.equal('completed')
    expect(fleet.uploads()).to.deep.equal(ONE_EACH)
  })

  it('obeys an abort that came while no worker lived', async () => {
    await fleet.order({ hyperparameters: MINUTES })
    await fleet.until({ epoch: 2 })

    await fleet.killWorker('SIGKILL')
    await fleet.abort()
    await fleet.startWorker()
    await fleet.until({ ended: true })

    expect(fleet.seen().outcome).to.equal('aborted')
    expect(fleet.uploads()).to.deep.equal({})
    expect(await fleet.programs()).to.deep.equal([])
  })

  it('obeys a stop that came while no worker lived and keeps the best model', async () => {
    await fleet.order({ hyperparameters: MINUTES })
    await fleet.until({ epoch: 2 })

    await fleet.killWorker('SIGKILL')
    await fleet.stop()
    await fleet.startWorker()
    await fleet.until({ ended: true })

    expect(fleet.seen().outcome).to.equal('completed')
    expect(fleet.uploads()).to.deep.equal(ONE_EACH)
    expect(await fleet.programs()).to.deep.equal([])
  })

  it('exits in time although its program ignores SIGTERM', async () => {
    await fleet.order({ hyperparameters: { epochs: 2, hang_at_epoch: 1 } })
    await fleet.until({ epoch: 1 })

    const exit = await fleet.workers[0]?.end()
    const programs = await fleet.programs()
    await fleet.startWorker()
    await fleet.until({ ended: true })

    expect(exit).to.include({ exitCode: 0 })
    expect(exit?.seconds).to.be.below(9)
    expect(programs).to.deep.equal([])
    expect(fleet.seen()).to.deep.include({ outcome: 'completed', errors: {} })
  })

  it('does not wait for a Loop that hangs', async () => {
    const hold = fleet.hold({ method: 'PUT', path: '^/api/.*/trainings/' }, 8_000)
    await fleet.order({ hyperparameters: { epochs: 1 } })
    await hold.reached()

    const exit = await fleet.workers[0]?.end()
    hold.release()
    await fleet.startWorker()
    await fleet.until({ ended: true })

    expect(exit?.seconds).to.be.below(4)
    expect(fleet.seen()).to.deep.include({ outcome: 'completed', errors: {} })
    expect(fleet.seen().models).to.have.lengthOf(1)
  })

  it('leaves a training that waits to be stopped immediately', async () => {
    await fleet.workers[0]?.end()
    await fleet.order()
    await fleet.until({ state: 'initialized' })

    await fleet.stop()
    await fleet.until({ ended: true }, 2_000)
    await fleet.startWorker()

    expect((await fleet.record()).outcome).to.equal('aborted')
  })

  it('refuses to work on a folder on which another one works', async () => {
    const second = await fleet.runWorker({ data: 'a' })

    expect(second.exitCode).to.equal(1)
    expect(second.output).to.match(/The folder .* is in use by process \d+; stop that one, or use another folder/)
    expect(second.output).not.to.match(/ at .*\.js:/)
    // faults.md: within three seconds, on an idle machine
    if (isThorough) expect(second.seconds).to.be.below(3)
  })
})
