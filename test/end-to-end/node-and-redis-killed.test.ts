import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { type Fleet, startFleet } from '../helpers/fleet.js'
import { times } from '../helpers/thorough.js'
import { tidyUp } from '../helpers/tidy-up.js'
import { until } from '../helpers/until.js'

const ONE_EACH = { mocked: 1, mocked_converted: 1 }
const TEN_ONCE = Array(10).fill(1)
const SOME_SECONDS = { epochs: 40, epoch_seconds: 0.1 }

const AWAY_SECONDS = times(3, 120)

describe('a training during an outage', function () {
  this.timeout(60_000 + AWAY_SECONDS * 2000)
  let fleet: Fleet

  before(async () => {
    fleet = await startFleet()
  })
  afterEach(async function () {
    await tidyUp(fleet, this.currentTest)
  })
  after(async () => fleet?.close())

  it('is not touched when the trainer node is killed and started again', async () => {
    await fleet.order({ hyperparameters: SOME_SECONDS })
    await fleet.until({ epoch: 3 })

    await fleet.trainer.kill('SIGKILL')
    await fleet.startTrainer()
    await fleet.until({ epoch: 39 })
    const starts = await fleet.starts()
    await fleet.until({ ended: true })

    expect(starts).to.have.lengthOf(1)
    expect(fleet.seen().outcome).to.equal('completed')
    expect(fleet.seen().points.at(-1)?.best_epoch).to.equal(40)
    await expectOneOfEach()
  })

  it('ends while the trainer node is away, and the Loop hears of it afterwards', async () => {
    await fleet.order({ hyperparameters: { epochs: 3 } })
    await fleet.until({ state: 'running' })

    await fleet.trainer.kill('SIGKILL')
    await until('the metrics wait', async () => (await fleet.record()).state === 'confusion_matrix_syncing')
    await fleet.startTrainer()
    await fleet.until({ ended: true })

    expect(fleet.seen().outcome).to.equal('completed')
    await expectOneOfEach()
  })

  it('goes on in the same program when Redis is killed', async () => {
    await fleet.order({ hyperparameters: SOME_SECONDS })
    await fleet.until({ epoch: 3 })
    const { pid } = fleet.redis

    process.kill(pid, 'SIGKILL')
    await until('Redis is back', () => fleet.redis.pid !== pid)
    await fleet.until({ epoch: 39 })
    const starts = await fleet.starts()
    await fleet.until({ ended: true })

    expect(starts).to.have.lengthOf(1)
    expect(await fleet.record()).to.include({ run: 1, outcome: 'completed' })
    await expectOneOfEach()
  })

  it('ends well although Redis is killed in every stage', async () => {
    const hold = fleet.hold({ method: 'PUT', path: '^/api/.*/trainings/' }, 500)
    await fleet.order({ hyperparameters: { epochs: 5, convert_seconds: 0.5, detect_seconds: 0.5 } })

    for (const state of ['running', 'confusion_matrix_synced', 'train_model_uploading', 'detecting']) {
      await fleet.until({ state })
      const { pid } = fleet.redis
      process.kill(pid, 'SIGKILL')
      await until('Redis is back', () => fleet.redis.pid !== pid)
    }
    hold.release()
    await fleet.until({ ended: true })

    expect(fleet.seen()).to.deep.include({ outcome: 'completed', errors: {} })
    await expectOneOfEach()
  })

  it('goes on in the same program although Redis hangs for longer than locks live', async () => {
    const impatient = await startFleet({ lockMs: 1500 })
    try {
      await impatient.order({ hyperparameters: SOME_SECONDS })
      await impatient.until({ epoch: 3 })

      process.kill(impatient.redis.pid, 'SIGSTOP')
      await sleep(AWAY_SECONDS * 1000) // longer than any lock
      process.kill(impatient.redis.pid, 'SIGCONT')
      await impatient.until({ epoch: 39 }, 60_000)
      const starts = await impatient.starts()
      await impatient.until({ ended: true }, 60_000)

      expect(starts).to.have.lengthOf(1)
      expect(await impatient.record()).to.include({ run: 1, outcome: 'completed' })
      expect(impatient.seen()).to.deep.include({ outcome: 'completed', errors: {} })
      expect(impatient.seen().models).to.have.lengthOf(1)
      expect(impatient.uploads()).to.deep.equal(ONE_EACH)
      expect(Object.values(impatient.detectionCounts())).to.deep.equal(TEN_ONCE)
      expect(await impatient.programs()).to.deep.equal([])
    } finally {
      await impatient.close()
    }
  })

  it('keeps its trainer node when a second one wants the same folder', async () => {
    const second = await fleet.run('trainer', ...fleet.trainerArgs)

    expect(second.exitCode).to.equal(1)
    expect(second.output).to.match(/The folder .* is in use by process \d+; stop that one, or use another folder/)
  })

  it('is seen again by the Loop when it cuts all sockets', async () => {
    await fleet.order({ hyperparameters: SOME_SECONDS })
    await fleet.until({ epoch: 3 })

    fleet.loop.dropSockets()
    await fleet.until({ ended: true })

    expect(fleet.seen().points.at(-1)?.best_epoch).to.equal(40)
    await expectOneOfEach()
  })

  async function expectOneOfEach(): Promise<void> {
    expect(fleet.seen().models).to.have.lengthOf(1)
    expect(fleet.uploads()).to.deep.equal(ONE_EACH)
    expect(Object.values(fleet.detectionCounts())).to.deep.equal(TEN_ONCE)
    expect(await fleet.programs()).to.deep.equal([])
  }
})
