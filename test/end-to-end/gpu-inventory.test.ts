import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { createFleet } from '../../src/queue/fleet/fleet.js'
import { isWaiting } from '../../src/queue/trainings/waiting.js'
import { type Fleet, type FleetOptions, startFleet } from '../helpers/fleet.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'
import { isThorough } from '../helpers/thorough.js'
import { until } from '../helpers/until.js'

const SMI = fileURLToPath(new URL('../fixtures/nvidia-smi', import.meta.url))
const NEEDS_TWO = fileURLToPath(new URL('../fixtures/trainers/needs-two/trainer.yaml', import.meta.url))

describe('a fleet with GPUs', function () {
  this.timeout(120_000)
  const temporary = useTemporaryFolder()
  let fleet: Fleet

  afterEach(() => fleet.close())

  async function start(smiCase: string, options: FleetOptions = {}): Promise<void> {
    const env = { NVIDIA_SMI_CASE: smiCase, ...options.env }
    fleet = await startFleet({ threads: 1, gpus: 'all', pathInFront: join(SMI, 'cases'), ...options, env })
  }

  const waiting = async (trainer: string) =>
    (await fleet.journal.list()).filter((training) => training.trainer === trainer && isWaiting(training)).length
  const host = async () => (await createFleet(fleet.link).hosts())[0]

  async function orderWhenASeatIsFree(): Promise<void> {
    const order = () =>
      fleet.order().then(
        () => true,
        () => false,
      )
    await until('a seat is free', order, 30_000)
  }

  it('trains on the card of a host whose nvidia-smi warns, and says so', async () => {
    await start('warning')

    await fleet.order({ hyperparameters: { epochs: 20, epoch_seconds: 0.1 } })
    await fleet.until({ epoch: 1 })

    expect((await fleet.starts()).map(({ gpus }) => gpus)).to.deep.equal(['0'])
    expect(await fleet.record()).to.have.nested.property('facts.device', 'GPU 0')
  })

  it('trains nothing on a host whose driver does not fit, and gives the reason', async () => {
    await start('driver-mismatch')

    await fleet.order({ hyperparameters: { epochs: 2 } })
    const { output } = await fleet.run('status')
    const trainings = await fleet.run('trainings')

    expect(output.match(/Driver\/library version mismatch/g), 'the reason, once').to.have.lengthOf(1)
    expect(trainings.output).to.match(/ waiting for a host .*\n.* waits: The GPUs of .* are unreadable\.\n/)
    expect(output).to.match(/GPUs unreadable.*Driver\/library version mismatch/)
    expect(output).to.match(/trainer quick not served/)
    expect(await host()).to.have.property('trainers').that.is.empty
    expect(await waiting('quick')).to.equal(1)
    expect(await fleet.workers[0]?.log()).to.include('Driver/library version mismatch')
    await fleet.abort()
  })

  it('trains on the CPU where there is no GPU, and says so', async () => {
    await start('one', { env: { CUDA_VISIBLE_DEVICES: '-1' } })

    await fleet.order({ hyperparameters: { epochs: 20, epoch_seconds: 0.1 } })
    await fleet.until({ epoch: 1 })

    expect((await fleet.starts()).map(({ gpus }) => gpus)).to.deep.equal([''])
    expect(await fleet.record())
      .to.have.nested.property('facts.device')
      .that.includes('CPU')
  })

  it('leaves trainings that need two GPUs to the host that has them', async () => {
    await start('two', { trainerFile: NEEDS_TWO, workers: [], seats: 2 })
    const small = await fleet.startWorker({ data: 'a', gpus: '0' })
    await fleet.order()
    await fleet.order()
    await until('both wait', async () => (await waiting('needs-two')) === 2)
    expect(await small.log()).to.include('2 GPUs are needed, but this host offers 1')

    const large = await fleet.startWorker({ data: 'b', gpus: '0,1' })
    await orderWhenASeatIsFree()
    await orderWhenASeatIsFree()
    await fleet.until({ ended: true })
    await until('all have ended', async () => (await fleet.journal.list()).every(({ endedAt }) => endedAt !== null))

    const records = await fleet.journal.list()
    expect(records.map(({ outcome }) => outcome)).to.deep.equal(Array(4).fill('completed'))
    expect(records.map(({ hostId }) => hostId)).to.deep.equal(Array(4).fill(large.hostId))
    expect(records.map(({ facts }) => facts.device)).to.deep.equal(Array(4).fill('GPU 0, 1'))
  })

  const tooFew = [
    ['CUDA_VISIBLE_DEVICES leaves one of two cards', 'two', { CUDA_VISIBLE_DEVICES: '1' }],
    ['there is no GPU', 'one', { CUDA_VISIBLE_DEVICES: '-1' }],
    ['its GPUs cannot be read', 'driver-mismatch', {}],
  ] as const
  for (const [what, smiCase, env] of isThorough ? tooFew : []) {
    it(`takes no training that needs two GPUs where ${what}, and leaves it queued`, async () => {
      await start(smiCase, { trainerFile: NEEDS_TWO, env })

      await fleet.order()

      expect(await host()).to.have.property('trainers').that.is.empty
      expect((await fleet.run('status')).output).to.match(/trainer needs-two not served: .*GPUs/)
      expect(await waiting('needs-two')).to.equal(1)
      await fleet.abort()
    })
  }

  it('offers what CUDA_VISIBLE_DEVICES of a worker leaves', async () => {
    await start('four', { env: { CUDA_VISIBLE_DEVICES: '2,3' }, seats: 2 })

    await fleet.order({ hyperparameters: { epochs: 20, epoch_seconds: 0.1 } })
    await fleet.order({ hyperparameters: { epochs: 20, epoch_seconds: 0.1 } })
    const devices = async () => (await fleet.journal.list()).flatMap(({ facts }) => facts.device ?? [])
    await until('both run', async () => (await devices()).length === 2, 30_000)

    expect(await devices()).to.have.members(['GPU 2', 'GPU 3'])
    const shown = await host()
    expect(shown?.gpuState).to.deep.equal({ state: 'gpus', reason: null, offered: [2, 3] })
    expect(shown?.gpus?.map(({ index }) => index)).to.deep.equal([2, 3])
    expect(fleet.workers[0]?.facts).to.include({ gpus: 2 })
  })

  it('refuses a worker for cards that its host does not have, and names those it has', async () => {
    await start('one', { workers: [] })

    const { exitCode, output } = await fleet.runWorker({ data: 'a', gpus: '5,6' })

    expect(exitCode).to.equal(2)
    expect(output).to.include('--gpus names "5"').and.include('GPU-7f1c2d3e-0000-0000-0000-000000000000')
  })

  it('takes no more trainings when the GPUs become unreadable, and leaves alone the one that runs', async () => {
    const choice = join(temporary.path, 'switch')
    await writeFile(choice, 'two-gpus')
    await start('one', { pathInFront: join(SMI, 'switched'), env: { NVIDIA_SMI_SWITCH: choice }, seats: 2 })
    await fleet.order({ hyperparameters: { epochs: 60, epoch_seconds: 0.2 } })
    await fleet.until({ epoch: 1 })

    await writeFile(choice, 'fails')
    await until('it is withdrawn', async () => (await host())?.gpuState?.state === 'unreadable', 20_000)
    await fleet.order({ hyperparameters: { epochs: 2 } })

    // The worker that was waiting for a job when the GPUs were withdrawn takes it for a moment and gives it back.
    await until('the order waits', async () => (await waiting('quick')) === 1)
    const running = (await fleet.journal.list()).find(({ hostId }) => hostId !== null)
    expect(running).to.include({ run: 1, outcome: null })
    await fleet.abort()
  })
})
