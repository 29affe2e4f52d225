import { expect } from 'chai'
import { entriesOf } from '../contract/wire-reading.js'
import { tapWire, type WireTap } from '../contract/wire-tap.js'
import { type Fleet, startFleet } from '../helpers/fleet.js'

const HAS_DONE_ITS_WORK = { exitCode: 0, signal: null }

describe('the environment names of the Python library', function () {
  this.timeout(60_000)
  let fleet: Fleet | undefined
  afterEach(async () => fleet?.close())

  it('RESTART_AFTER_TRAINING: the trainer node exits with 0 after a training, and its next life takes the next', async () => {
    fleet = await startFleet({ threads: 1, env: { RESTART_AFTER_TRAINING: '1' } })
    await fleet.order({ hyperparameters: { epochs: 1 } })
    await fleet.until({ ended: true })
    expect(await fleet.trainer.exited).to.deep.equal(HAS_DONE_ITS_WORK)

    await fleet.startTrainer()
    await fleet.order({ hyperparameters: { epochs: 1 } })
    await fleet.until({ ended: true })

    expect(await fleet.trainer.exited).to.deep.equal(HAS_DONE_ITS_WORK)
    expect(fleet.seen().outcome).to.equal('completed')
  })

  it('TRAINER_IDLE_TIMEOUT_SEC: the trainer node exits with 0 after so long without a training', async () => {
    fleet = await startFleet({ workers: [], env: { TRAINER_IDLE_TIMEOUT_SEC: '1' } })

    expect(await fleet.trainer.exited).to.deep.equal(HAS_DONE_ITS_WORK)
  })

  it('INFERENCE_BATCH_SIZE: so many images per upload of detections', async () => {
    let tap: WireTap | undefined
    fleet = await startFleet({
      env: { INFERENCE_BATCH_SIZE: '4' },
      project: { complete: 8, inbox: 2 },
      through: async (loopHost) => {
        tap = await tapWire(loopHost)
        return tap
      },
    })

    await fleet.order({ hyperparameters: { epochs: 1 } })
    await fleet.until({ ended: true })

    const posts = tap?.requests.filter(({ method, path }) => method === 'POST' && path.endsWith('/detections')) ?? []
    expect(posts.map((post) => entriesOf(post).length)).to.deep.equal([4, 4, 2])
  })
})
