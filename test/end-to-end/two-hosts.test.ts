import { expect } from 'chai'
import { type Fleet, type FleetWorker, startFleet } from '../helpers/fleet.js'
import { until } from '../helpers/until.js'

const ONE_EACH = { mocked: 1, mocked_converted: 1 }
const TEN_ONCE = Array(10).fill(1)

describe('two hosts', function () {
  this.timeout(60_000)
  let fleet: Fleet

  beforeEach(async () => {
    fleet = await startFleet({ workers: ['a', 'b'], lockMs: 3000 })
  })
  afterEach(async () => fleet?.close())

  it('finish a training with one model when the host that trains dies as a whole', async () => {
    await fleet.order({ hyperparameters: { epochs: 30, epoch_seconds: 0.1 } })
    await fleet.until({ epoch: 5 })
    const first = await hostOfTraining()

    await fleet.killTree(first)
    const programsAfterDeath = await fleet.programs()
    await fleet.until({ ended: true }, 30_000)

    const record = await fleet.record()
    expect(programsAfterDeath).to.deep.equal([])
    expect(record.hostId).not.to.equal(first.hostId)
    expect(record).to.include({ run: 2, outcome: 'completed' })
    expect(fleet.seen()).to.deep.include({ outcome: 'completed', errors: {} })
    expect(fleet.seen().models).to.have.lengthOf(1)
    expect(fleet.uploads()).to.deep.equal(ONE_EACH)
    expect(Object.values(fleet.detectionCounts())).to.deep.equal(TEN_ONCE)
  })

  it('keep what is at the Loop when the host dies between upload and detection', async () => {
    await fleet.order({ hyperparameters: { epochs: 2, detect_seconds: 1 } })
    await fleet.until({ state: 'detecting' })

    await fleet.killTree(await hostOfTraining())
    await fleet.until({ ended: true }, 30_000)

    expect(fleet.seen()).to.deep.include({ outcome: 'completed', errors: {} })
    expect(fleet.uploads()).to.deep.equal(ONE_EACH)
    expect(Object.values(fleet.detectionCounts())).to.deep.equal(TEN_ONCE)
  })

  it('fence off a host that was frozen and wakes up again', async () => {
    await fleet.order({ hyperparameters: { epochs: 30, epoch_seconds: 0.1 } })
    await fleet.until({ epoch: 3 })
    const frozen = await hostOfTraining()
    const [other] = fleet.workers.filter((worker) => worker !== frozen)

    process.kill(frozen.pid, 'SIGSTOP')
    await until('the other host has begun', async () => (await fleet.starts(other)).length === 1, 15_000)
    process.kill(frozen.pid, 'SIGCONT')
    await until('its program is gone', async () => (await fleet.programs(frozen)).length === 0)
    await fleet.until({ ended: true })

    expect(await fleet.record()).to.include({ run: 2, outcome: 'completed', hostId: other?.hostId })
    expect(fleet.seen()).to.deep.include({ outcome: 'completed', errors: {} })
    expect(fleet.seen().models).to.have.lengthOf(1)
    expect(fleet.uploads()).to.deep.equal(ONE_EACH)
    expect(Object.values(fleet.detectionCounts())).to.deep.equal(TEN_ONCE)
    expect(frozen.hasExited).to.equal(false)
  })

  it('hand a training over on SIGTERM without waiting for a lock to run out', async () => {
    await fleet.order({ hyperparameters: { epochs: 600, epoch_seconds: 0.1 } })
    await fleet.until({ epoch: 3 })
    const first = await hostOfTraining()

    const { seconds } = await first.end()
    const { best } = await fleet.record()
    await fleet.until({ epoch: (best?.epoch ?? 0) + 2 })
    await fleet.stop()
    await fleet.until({ ended: true })

    const record = await fleet.record()
    expect(seconds).to.be.below(9)
    expect(record.hostId).not.to.equal(first.hostId)
    expect(fleet.seen()).to.deep.include({ outcome: 'completed', errors: {} })
    expect(fleet.uploads()).to.deep.equal(ONE_EACH)
  })

  async function hostOfTraining(): Promise<FleetWorker> {
    const { hostId } = await fleet.record()
    const worker = fleet.workers.find((each) => each.hostId === hostId)
    if (worker === undefined) throw new Error(`No worker lives on host ${hostId}.`)
    return worker
  }
})
