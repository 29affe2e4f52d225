import { mkdir, mkdtemp, readdir, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { removeTree } from '../../src/base/files.js'
import { type Fleet, type FleetWorker, startFleet } from '../helpers/fleet.js'
import { until } from '../helpers/until.js'

const ONE_EACH = { mocked: 1, mocked_converted: 1 }
const TEN_ONCE = Array(10).fill(1)
const PACKED_EPOCH = 2
const SLOW = { epochs: 30, epoch_seconds: 0.3 }

describe('a fleet with a shared folder for checkpoints', function () {
  this.timeout(90_000)
  let fleet: Fleet
  let shared: string

  beforeEach(async () => {
    shared = await mkdtemp(join(tmpdir(), 'loopfleet-checkpoints-'))
  })
  afterEach(async () => {
    await fleet?.close()
    await removeTree(shared)
  })

  const start = async (...workers: string[]) => {
    const env = { LOOPFLEET_CHECKPOINTS: shared, LOOPFLEET_CHECKPOINT_SECONDS: '1' }
    fleet = await startFleet({ workers, lockMs: 3000, env })
  }

  it('goes on on the other host when the one that trains dies as a whole', async () => {
    await start('a', 'b')
    await fleet.order({ hyperparameters: SLOW })
    await untilPacked(PACKED_EPOCH)
    const first = await hostOfTraining()
    const [other] = fleet.workers.filter((worker) => worker !== first)

    await fleet.killTree(first)
    await until('the other host trains', async () => (await fleet.starts(other)).length > 0, 40_000)
    const [again] = await fleet.starts(other)
    await fleet.until({ ended: true }, 40_000)

    expect(again?.resume).to.equal(true)
    expect(again?.first_epoch).to.be.at.least(PACKED_EPOCH)
    await expectOneOfAll()
    expect(await fleet.record()).to.include({ run: 2, hostId: other?.hostId })
    await until('its checkpoints are gone', async () => (await readdir(shared)).length === 0)
  })

  it('goes on on the same host when its data folder was lost', async () => {
    await start('a')
    await fleet.order({ hyperparameters: SLOW })
    await untilPacked(PACKED_EPOCH)
    const [worker] = fleet.workers

    await fleet.killTree(worker)
    await removeTree(worker?.folder ?? '')
    const next = await fleet.startWorker()
    await until('it trains again', async () => (await fleet.starts(next)).length > 0, 20_000)
    const starts = await fleet.starts(next)
    await fleet.until({ ended: true }, 40_000)

    expect(starts).to.have.lengthOf(1)
    expect(starts[0]?.first_epoch).to.be.at.least(PACKED_EPOCH)
    await expectOneOfAll()
  })

  it('uploads what a host had trained to the end before it died, without training again', async () => {
    await start('a', 'b')
    const hold = fleet.hold({ method: 'PUT', path: '^/api/.*/trainings/' }, 60_000)
    await fleet.order({ hyperparameters: { epochs: 3 } })
    await hold.reached()
    const first = await hostOfTraining()
    const [other] = fleet.workers.filter((worker) => worker !== first)

    await fleet.killTree(first)
    hold.release()
    await fleet.until({ ended: true }, 40_000)

    expect(await fleet.starts(other)).to.deep.equal([])
    await expectOneOfAll()
  })

  it('uploads the packed model when a stop arrives while the next host still downloads the data', async () => {
    await start('a', 'b')
    await fleet.order({ hyperparameters: SLOW })
    await untilPacked(PACKED_EPOCH)
    const first = await hostOfTraining()
    const [other] = fleet.workers.filter((worker) => worker !== first)
    const hold = fleet.hold({ method: 'GET', path: '^/api/.*/data' }, 60_000)

    await fleet.killTree(first)
    await hold.reached()
    await fleet.stop()
    hold.release()
    await fleet.until({ ended: true }, 40_000)

    expect(await fleet.starts(other)).to.deep.equal([])
    await expectOneOfAll()
    expect((await fleet.record()).steps.train?.result).to.include({ stopped: true })
  })

  it('hands a training over on SIGTERM with the checkpoint of its last epoch', async () => {
    await start('a', 'b')
    await fleet.order({ hyperparameters: { epochs: 2000, waits_at_epoch: 5 } })
    await fleet.until({ epoch: 5 })
    const first = await hostOfTraining()
    const [other] = fleet.workers.filter((worker) => worker !== first)

    const { seconds } = await first.end()
    const leftAt = (await fleet.record()).best?.epoch ?? 0
    await until('the other host trains', async () => (await fleet.starts(other)).length > 0, 20_000)
    const [again] = await fleet.starts(other)
    await fleet.abort()
    await fleet.until({ ended: true })

    expect(seconds).to.be.below(9)
    expect(again?.first_epoch).to.be.within(leftAt, leftAt + 1)
    expect(fleet.seen().outcome).to.equal('aborted')
    await until('its checkpoints are gone', async () => (await readdir(shared)).length === 0)
  })

  it('trains all the same when the folder is not there, and keeps the checkpoints of what failed', async () => {
    await start('a')
    await removeTree(shared)
    await fleet.order({ hyperparameters: { epochs: 3 } })
    await fleet.until({ ended: true })
    const log = await fleet.run('trainings', 'logs', (await fleet.record()).id)
    await expectOneOfAll()

    await mkdir(shared)
    await fleet.order({ hyperparameters: { ...SLOW, epochs: 3, fail_convert: true } })
    await fleet.until({ ended: true }, 40_000)

    expect(log.output).to.match(/checkpoint not packed, the training goes on: The folder .* does not exist/)
    expect(fleet.seen().outcome).to.equal('failed')
    // A pack and what describes it; one more pair if there was time for one during the training.
    expect(await readdir(join(shared, (await fleet.record()).id))).to.have.lengthOf.within(2, 4)
  })

  /** Packing goes on beside the training: its marker, which is written last, says that it is done. */
  async function untilPacked(epoch: number): Promise<void> {
    const read = async (file: string) => JSON.parse(await readFile(file, 'utf8')).epoch ?? 0
    await until(
      `epoch ${epoch} is packed`,
      async () => {
        const names = (await readdir(shared, { recursive: true })).filter((name) => name.endsWith('.json'))
        const epochs = await Promise.all(names.map((name) => read(join(shared, name)).catch(() => 0))) // removed by now
        return epochs.some((packed) => packed >= epoch)
      },
      60_000,
    )
  }

  async function expectOneOfAll(): Promise<void> {
    expect(fleet.seen()).to.deep.include({ outcome: 'completed', errors: {} })
    expect(fleet.seen().models).to.have.lengthOf(1)
    expect(fleet.uploads()).to.deep.equal(ONE_EACH)
    expect(Object.values(fleet.detectionCounts())).to.deep.equal(TEN_ONCE)
  }

  async function hostOfTraining(): Promise<FleetWorker> {
    const { hostId } = await fleet.record()
    const worker = fleet.workers.find((each) => each.hostId === hostId)
    if (worker === undefined) throw new Error(`No worker lives on host ${hostId}.`)
    return worker
  }
})
