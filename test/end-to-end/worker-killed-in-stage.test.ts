import { expect } from 'chai'
import { type Fleet, startFleet } from '../helpers/fleet.js'
import { tidyUp } from '../helpers/tidy-up.js'

const QUICK = { epochs: 2, epoch_seconds: 0.02 }
const ONE_EACH = { mocked: 1, mocked_converted: 1 }
const TEN_ONCE = Array(10).fill(1)

describe('a worker killed in a stage and started again', function () {
  this.timeout(60_000)
  let fleet: Fleet

  before(async () => {
    fleet = await startFleet()
  })
  afterEach(async function () {
    await tidyUp(fleet, this.currentTest)
  })
  after(async () => fleet?.close())

  it('downloads what is missing when images were on their way', async () => {
    const hold = fleet.hold({ method: 'GET', path: '^/api/.*/images/[^/]+/main' })
    await fleet.order({ hyperparameters: QUICK })
    await hold.reached()

    await restart(hold.release)

    await endsWell()
  })

  it('downloads the base model again when it was on its way', async () => {
    const base = fleet.seen().models[0]?.id
    const hold = fleet.hold({ method: 'GET', path: '^/api/.*/models/[^/]+/mocked/file' })
    await fleet.order({ hyperparameters: QUICK, base_model_uuid: base })
    await hold.reached()

    await restart(hold.release)

    await endsWell()
    expect((await fleet.record()).order.baseModel).to.deep.equal({ kind: 'loop', id: base })
  })

  it('sends the metrics again that were not acked', async () => {
    const hold = fleet.hold({ event: 'update_training' })
    await fleet.order({ hyperparameters: QUICK })
    await hold.reached()
    await fleet.until({ state: 'confusion_matrix_syncing' })

    await restart(hold.release)

    await endsWell()
    expect(fleet.seen().points.at(-1)?.best_epoch).to.equal(2)
  })

  it('converts again, without training again', async () => {
    await fleet.order({ hyperparameters: { ...QUICK, convert_seconds: 1 } })
    await fleet.until({ state: 'confusion_matrix_synced' })
    const { steps } = await fleet.record()

    await restart()

    await endsWell()
    expect((await fleet.record()).steps.train).to.deep.equal(steps.train)
  })

  it('uploads the model whose upload was cut', async () => {
    const hold = fleet.hold({ method: 'PUT', path: '^/api/.*/trainings/' })
    await fleet.order({ hyperparameters: QUICK })
    await hold.reached()

    await restart(hold.release)

    await endsWell()
  })

  it('keeps to the one model when the Loop had it but the answer was lost', async () => {
    fleet.loop.addFault({ match: { method: 'PUT', path: '^/api/.*/trainings/' }, kind: 'lost-answer', times: 1 })
    await fleet.order({ hyperparameters: QUICK })
    await fleet.until({ upload: 'mocked' })

    await restart()
    await fleet.until({ ended: true })

    expect(fleet.seen().models).to.have.lengthOf(1)
    expect(fleet.uploads()).to.deep.equal({ mocked: 2, mocked_converted: 1 })
    expect(Object.values(fleet.detectionCounts())).to.deep.equal(TEN_ONCE)
  })

  it('detects again', async () => {
    await fleet.order({ hyperparameters: { ...QUICK, detect_seconds: 1 } })
    await fleet.until({ state: 'detecting' })

    await restart()

    await endsWell()
  })

  it('uploads every detection once when the first batch was on its way', async () => {
    const hold = fleet.hold({ method: 'POST', path: '^/api/.*/detections' })
    await fleet.order({ hyperparameters: QUICK })
    await hold.reached()

    await fleet.killWorker('SIGKILL')
    hold.release()
    await fleet.startWorker()
    await fleet.until({ ended: true })

    expect(fleet.seen().outcome).to.equal('completed')
    expect(fleet.uploads()).to.deep.equal(ONE_EACH)
    expect(Object.keys(fleet.detectionCounts())).to.have.lengthOf(10)
  })

  it('does not send detections again that the Loop has, when only the answer was lost', async () => {
    fleet.loop.addFault({ match: { method: 'POST', path: '^/api/.*/detections' }, kind: 'lost-answer', times: 1 })
    await fleet.order({ hyperparameters: QUICK })
    await fleet.until({ detections: 10 })

    await restart()

    await endsWell()
  })

  async function restart(beforeStart: () => void = () => undefined): Promise<void> {
    await fleet.killWorker('SIGKILL')
    beforeStart()
    await fleet.startWorker()
  }

  async function endsWell(): Promise<void> {
    await fleet.until({ ended: true })
    expect(fleet.seen()).to.deep.include({ outcome: 'completed', errors: {} })
    expect(fleet.seen().models).to.have.lengthOf(1)
    expect(fleet.uploads()).to.deep.equal(ONE_EACH)
    expect(Object.values(fleet.detectionCounts())).to.deep.equal(TEN_ONCE)
    expect(await fleet.programs()).to.deep.equal([])
  }
})
