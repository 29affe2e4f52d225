import { access } from 'node:fs/promises'
import { expect } from 'chai'
import { type Fleet, startFleet } from '../helpers/fleet.js'
import { rejection } from '../helpers/rejection.js'
import { tidyUp } from '../helpers/tidy-up.js'
import { until } from '../helpers/until.js'

const LONG = { epochs: 500, epoch_seconds: 0.1 }

describe('a training ordered by the Loop', function () {
  this.timeout(60_000)
  let fleet: Fleet

  before(async () => {
    fleet = await startFleet()
  })
  afterEach(async function () {
    await tidyUp(fleet, this.currentTest)
  })
  after(async () => fleet?.close())

  it('goes from order to detections', async () => {
    await fleet.order({ hyperparameters: { epochs: 2 } })

    await fleet.until({ ended: true })

    expect(fleet.seen()).to.include({ outcome: 'completed', train_image_count: 6, test_image_count: 2 })
    expect(fleet.seen().models).to.have.lengthOf(1)
    expect(fleet.seen().models[0]?.formats).to.have.members(['mocked', 'mocked_converted'])
    expect(Object.values(fleet.detectionCounts())).to.deep.equal(Array(10).fill(1))
    expect(fleet.states()).to.include.members(['running', 'detecting'])
  })

  it('keeps the best model so far when a stop arrives during training, and goes on to detections', async () => {
    await fleet.order({ hyperparameters: LONG })
    await fleet.until({ epoch: 2 })

    await fleet.stop()
    await fleet.until({ ended: true })

    expect(fleet.seen().outcome).to.equal('completed')
    expect(fleet.uploads()).to.deep.equal({ mocked: 1, mocked_converted: 1 })
    expect((await fleet.record()).best?.epoch).to.be.within(2, 50)
    expect(fleet.seen().points.at(-1)?.best_epoch).to.equal((await fleet.record()).best?.epoch)
    expect(Object.values(fleet.detectionCounts())).to.deep.equal(Array(10).fill(1))
    expect(fleet.states()).to.include.members(['train_model_uploading', 'detecting', 'detection_uploading'])
    expect(await fleet.programs()).to.deep.equal([])
  })

  it('is thrown away when a stop arrives before its first model', async () => {
    await fleet.order({ hyperparameters: { epochs: 5, epoch_seconds: 60, without_model: true } })
    await until('the program runs', async () => (await fleet.starts()).length === 1)

    await fleet.stop()
    await fleet.until({ ended: true })

    expect((await fleet.record()).outcome).to.equal('aborted')
    expect(fleet.seen().models).to.deep.equal([])
    expect(await fleet.programs()).to.deep.equal([])
  })

  it('leaves no process and uploads nothing when it is aborted', async () => {
    await fleet.order({ hyperparameters: LONG })
    await fleet.until({ epoch: 2 })
    const workspace = await fleet.workspace()

    await fleet.abort()
    await fleet.until({ ended: true })

    expect(fleet.seen().outcome).to.equal('aborted')
    expect(fleet.uploads()).to.deep.equal({})
    expect(fleet.states()).not.to.include('train_model_uploading')
    expect(await fleet.programs()).to.deep.equal([])
    expect(await rejection(access(workspace))).to.have.property('code', 'ENOENT')
  })

  it('ends on abort even if its program ignores SIGTERM', async () => {
    await fleet.order({ hyperparameters: { epochs: 5, hang_at_epoch: 1 } })
    await fleet.until({ epoch: 1 })

    await fleet.abort()
    await fleet.until({ ended: true }, 15_000)

    expect(fleet.seen().outcome).to.equal('aborted')
    expect(await fleet.programs()).to.deep.equal([])
  })

  it('keeps its model and leaves detection out when a stop arrives after training', async () => {
    const hold = fleet.hold({ method: 'PUT', path: '^/api/.*/trainings/' })
    await fleet.order({ hyperparameters: { epochs: 1 } })
    await hold.reached()

    await fleet.stop()
    hold.release()
    await fleet.until({ ended: true })

    expect(fleet.uploads()).to.deep.equal({ mocked: 1, mocked_converted: 1 })
    expect(fleet.states()).not.to.include('detecting')
  })

  it('is one training when it is ordered again while it runs', async () => {
    const number = await fleet.order({ hyperparameters: { epochs: 20, epoch_seconds: 0.1 } })
    await fleet.until({ epoch: 1 })
    const { id } = await fleet.record()

    await fleet.order({ training_number: number })
    await fleet.until({ epoch: 19 })
    const starts = await fleet.starts()
    await fleet.until({ ended: true })

    expect((await fleet.record()).id).to.equal(id)
    expect(starts).to.have.lengthOf(1)
    expect(fleet.uploads()).to.deep.equal({ mocked: 1, mocked_converted: 1 })
  })

  it('is trained again when it is ordered again after the Loop has acknowledged its end', async () => {
    const number = await fleet.order({ hyperparameters: { epochs: 1 } })
    const ended = await untilEndAcked()

    await fleet.order({ training_number: number })
    const again = await untilEndAcked()

    expect(again.id).not.to.equal(ended.id)
    expect(again.outcome).to.equal('completed')
    expect(fleet.uploads()).to.deep.equal({ mocked: 2, mocked_converted: 2 })
  })

  it('makes its seat refuse another order', async () => {
    await fleet.order({ hyperparameters: LONG })
    await fleet.until({ epoch: 1 })
    const { id } = await fleet.record()

    const refusal = await rejection(fleet.order({ trainer: String(fleet.trainer.facts.uuid) }))

    expect(refusal.message).to.match(/refused.*busy/i)
    expect((await fleet.record()).id).to.equal(id)
    await fleet.abort()
    await fleet.until({ ended: true })
  })

  /** The Loop's view of a training that is ordered again has ended before: only the journal tells the two apart. */
  async function untilEndAcked() {
    return await until('the Loop has acknowledged the end', async () => {
      const record = await fleet.record()
      return record.endAckedAt !== null && record
    })
  }
})
