import { expect } from 'chai'
import { type Fleet, startFleet } from '../helpers/fleet.js'
import { tidyUp } from '../helpers/tidy-up.js'
import { until } from '../helpers/until.js'

describe('a host with one place', function () {
  this.timeout(90_000)
  let fleet: Fleet

  before(async () => {
    fleet = await startFleet({ places: 1, seats: 2, env: { LOOPFLEET_LEND_PLACE_SECONDS: '1' } })
  })
  afterEach(async function () {
    await tidyUp(fleet, this.currentTest)
  })
  after(async () => fleet?.close())

  const outcomeOf = (number: number) => fleet.loop.training(fleet.organization, fleet.project, number)?.outcome

  it('works on another training while one waits for the Loop outside of training', async () => {
    const first = await fleet.order({ hyperparameters: { epochs: 2 } })
    const path = `^/api/.*/trainings/${first}/`
    const fault = fleet.loop.addFault({ match: { method: 'PUT', path }, kind: 'status', status: 503 })
    await fleet.until({ state: 'train_model_uploading' })

    const second = await fleet.order({ hyperparameters: { epochs: 2 } })
    await fleet.until({ ended: true }, 40_000)
    const meanwhile = outcomeOf(first)
    fleet.loop.clearFaults(fault.id)
    await until('the first one has ended, too', () => (outcomeOf(first) ?? null) !== null, 40_000)

    expect(outcomeOf(second)).to.equal('completed')
    expect(meanwhile).to.equal(null)
    expect(outcomeOf(first)).to.equal('completed')
    expect(fleet.effects('training-model')).to.have.lengthOf(4)
  })

  it('works on another one while the metrics of one wait for the Loop', async () => {
    const hold = fleet.hold({ event: 'update_training' }, 60_000)
    const first = await fleet.order({ hyperparameters: { epochs: 1 } })
    await fleet.until({ state: 'confusion_matrix_syncing' })
    hold.release()

    const second = await fleet.order({ hyperparameters: { epochs: 2 } })
    await fleet.until({ ended: true }, 40_000)
    const meanwhile = outcomeOf(first)
    fleet.loop.dropSockets() // so that the point is sent again
    await until('the first one has ended, too', () => (outcomeOf(first) ?? null) !== null, 40_000)

    expect([outcomeOf(second), meanwhile, outcomeOf(first)]).to.deep.equal(['completed', null, 'completed'])
  })
})
