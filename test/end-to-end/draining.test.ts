import { expect } from 'chai'
import { type Fleet, startFleet } from '../helpers/fleet.js'
import { until } from '../helpers/until.js'

describe('a host that drains', function () {
  this.timeout(90_000)
  let fleet: Fleet | undefined
  afterEach(async () => fleet?.close())

  it('finishes what it has, takes no more, and takes trainings again when it is let', async () => {
    fleet = await startFleet({ seats: 2 })
    const [worker] = fleet.workers
    if (worker === undefined) throw new Error('no worker')
    await fleet.order({ hyperparameters: { epochs: 200, epoch_seconds: 0.1 } })
    await fleet.until({ epoch: 1 })
    const first = await fleet.record()

    const drained = await fleet.run('hosts', 'drain', worker.hostId)
    await until('the worker has read it', async () => (await worker.log()).includes('draining started'))
    await fleet.order({ hyperparameters: { epochs: 1 } })
    const second = await fleet.record()
    await fleet.run('trainings', 'stop', first.id)
    const outcome = async () => (await fleet?.journal.load(first.id))?.outcome ?? undefined
    await until('the first has ended', outcome, 40_000)

    expect(drained.output).to.contain('takes no more trainings')
    expect((await fleet.journal.load(first.id))?.outcome).to.equal('completed')
    expect((await fleet.journal.load(second.id))?.run, 'takes of the second').to.equal(0)

    await fleet.run('hosts', 'undrain', worker.hostId)
    await fleet.until({ ended: true }, 40_000)
    expect((await fleet.journal.load(second.id))?.outcome).to.equal('completed')
  })

  it('takes no training from the moment in which it was said', async () => {
    fleet = await startFleet()
    const [worker] = fleet.workers
    if (worker === undefined) throw new Error('no worker')

    await fleet.run('hosts', 'drain', worker.hostId)
    await fleet.order({ hyperparameters: { epochs: 1 } })
    await until('the worker has read it', async () => (await worker.log()).includes('draining started'))
    const { id } = await fleet.record()
    expect((await fleet.journal.load(id))?.run, 'takes').to.equal(0)

    await fleet.run('hosts', 'undrain', worker.hostId)
    await fleet.until({ ended: true }, 40_000)
    expect((await fleet.journal.load(id))?.outcome).to.equal('completed')
  })

  it('is named in a sentence when the fleet has none of that name', async () => {
    fleet = await startFleet()

    const { exitCode, output } = await fleet.run('hosts', 'drain', 'elsewhere')

    expect(exitCode).to.equal(2)
    expect(output).to.contain('There is no host "elsewhere"; `loopfleet hosts` lists them all.')
  })
})
