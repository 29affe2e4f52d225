import { expect } from 'chai'
import { type Fleet, startFleet } from '../helpers/fleet.js'
import { rejection } from '../helpers/rejection.js'
import { tidyUp } from '../helpers/tidy-up.js'
import { until } from '../helpers/until.js'

// The rows of docs/reference/orders.md that need a host; the others are in test/nodes/orders.test.ts.
describe('an order that comes at an odd moment', function () {
  this.timeout(60_000)
  let fleet: Fleet
  before(async () => {
    fleet = await startFleet({ seats: 2 })
  })
  afterEach(async function () {
    await tidyUp(fleet, this.currentTest)
  })
  after(async () => fleet?.close())

  it('twice at the same time is one training', async () => {
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

  it('the same again in a project that was deleted and generated again is trained, however soon', async () => {
    const [projects, config] = [
      `${fleet.loop.url}/api/${fleet.organization}/projects`,
      { project_name: 'reborn', complete: 4 },
    ]
    const request = { hyperparameters: { epochs: 1 } }
    const models = () => fleet.loop.training(fleet.organization, 'reborn', 1)?.models.length
    const find = () => fleet.journal.find(`${fleet.organization}/reborn#1`)
    const order = async () => {
      await fleet.generate({ ...config, inbox: 1, box_categories: 1 })
      const { ack, training_number } = await fleet.loop.orderTraining(fleet.organization, 'reborn', request)
      expect([ack, training_number]).to.deep.equal([{ success: true, error_msg: null, payload: null }, 1])
      await until('a model is there', () => models() === 1, 30_000)
      await until('the Loop has acknowledged its end', async () => (await find())?.endAckedAt ?? undefined, 30_000)
    }

    await order()
    expect((await fetch(`${projects}/reborn`, { method: 'DELETE' })).status).to.equal(200)
    await order()

    const trained = (await fleet.journal.list()).filter((record) => record.order.project === 'reborn')
    expect(trained.map(({ outcome }) => outcome)).to.deep.equal(['completed', 'completed'])
  })

  it('a retry of a failed one is refused when its seat has had another one since, which keeps what it has', async () => {
    await fleet.order({ hyperparameters: { epochs: 2, fail_convert: true } })
    await fleet.until({ ended: true }, 50_000)
    const failed = await fleet.record()
    await fleet.order({ hyperparameters: { epochs: 1 }, trainer: failed.seat.uuid })
    await fleet.until({ ended: true })
    const newer = await fleet.record()

    const { exitCode, output } = await fleet.run('trainings', 'retry', failed.id)

    expect(exitCode).to.equal(2)
    expect(output).to.contain(`has had zauberzeug/shapes#${newer.order.trainingNumber} (${newer.id}) since`)
    expect(await fleet.journal.load(failed.id)).to.include({ outcome: 'failed' })
    expect(fleet.seen()).to.include({ outcome: 'completed' })
    expect(fleet.seen().models).to.have.lengthOf(1)
  })
})
