import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { findHardwareSigns } from '../../src/executors/gpu/hardware-signs.js'
import { type StepProgress, stepProgressSchema } from '../../src/queue/jobs/job-schemas.js'
import { queueNames } from '../../src/queue/jobs/names.js'
import { type Fleet, type FleetOptions, startFleet } from '../helpers/fleet.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'
import { times } from '../helpers/thorough.js'
import { until } from '../helpers/until.js'

const SMI = fileURLToPath(new URL('../fixtures/nvidia-smi', import.meta.url))
const A_WHILE = { epochs: 30, epoch_seconds: 0.1 }
const MIB = 1024 * 1024

describe('the progress of a train job', function () {
  this.timeout(60_000)
  const temporary = useTemporaryFolder()
  let fleet: Fleet | undefined

  afterEach(async () => {
    await fleet?.close()
    fleet = undefined
  })

  it('shows the figures of the GPU that was leased to it, and of its process tree', async () => {
    const {
      fleet: running,
      order,
      progress,
    } = await start({ pathInFront: join(SMI, 'two-gpus'), gpus: 'all', seats: 2 })
    await order()
    const first = await progress(({ gpus, process }) => gpus !== null && process !== null)
    await order()
    const second = await progress(({ gpus, process }) => gpus !== null && process !== null)

    const [started] = await running.starts()
    expect(first.gpus).to.have.lengthOf(1)
    expect(first.gpus?.[0]).to.include({ index: 0, temperatureCelsius: 45, powerWatts: 27.22 })
    expect(first.gpus?.[0]).to.include({ memoryUsedBytes: MIB, memoryTotalBytes: 23034 * MIB })
    expect(first.gpus?.[0]?.utilizationPercent).to.be.above(0)
    expect(second.gpus).to.have.lengthOf(1)
    expect(second.gpus?.[0]).to.include({ index: 1, temperatureCelsius: 40, powerWatts: 29.54 })
    expect(started?.gpus, 'CUDA_VISIBLE_DEVICES of the second').to.equal('1')
    expect(first.process?.cpuPercent).to.be.at.least(0)
    expect(first.process?.memoryBytes).to.be.above(MIB)
  })

  it('is written at most twice a second', async () => {
    const { fleet: running, order } = await start({ pathInFront: join(SMI, 'two-gpus'), gpus: 'all' })
    await order({ epochs: 40, epoch_seconds: 0.06 })
    await running.until({ ended: true })

    const all = await progressTimes(running)
    const times = all.slice(0, -1) // the last one is written immediately when the program has ended
    const shortest = Math.min(...times.slice(2).map((time, index) => time - (times[index] ?? 0)))
    const seconds = ((times.at(-1) ?? 0) - (times[0] ?? 0)) / 1000
    expect(times).to.have.lengthOf.within(4, 1 + Math.ceil(2 * seconds))
    expect(shortest, 'time from one write to the second after it').to.be.above(900)
  })

  // Whether it fails or hangs, what it last said is not shown again; that a training goes on when it fails: gpu-inventory.
  for (const what of ['hangs', 'fails'].slice(0, times(1, 2))) {
    it(`has no new GPU figures when nvidia-smi ${what} meanwhile, and the training goes on`, async () => {
      const choice = join(temporary.path, 'switch')
      await writeFile(choice, 'two-gpus')
      const options = { pathInFront: join(SMI, 'switched'), env: { NVIDIA_SMI_SWITCH: choice }, gpus: 'all' }
      const { fleet: running, order, progress } = await start(options)
      await order({ epochs: 30, epoch_seconds: 0.2 })
      await progress(({ gpus }) => gpus !== null)

      await writeFile(choice, what)
      await running.until({ ended: true })

      expect(running.seen().outcome).to.equal('completed')
      expect((await running.record()).run).to.equal(1)
    })
  }

  it('has no GPU figures when there is no nvidia-smi, and the CPU slot is used', async function () {
    if ((await findHardwareSigns()).length > 0) this.skip() // without the tool the cards of this machine are unreadable
    const { fleet: running, order, progress } = await start({ path: await pathWithoutSmi(), gpus: 'all' })
    await order({ epochs: 15, epoch_seconds: 0.1 })
    const shown = await progress(({ process }) => process !== null)
    const [only] = await running.starts()
    await running.until({ ended: true })

    expect(shown.gpus).to.equal(null)
    expect(only?.gpus).to.equal('')
    expect(running.seen().outcome).to.equal('completed')
  })

  async function start(options: FleetOptions) {
    const running = await startFleet({ threads: 1, ...options })
    fleet = running
    return {
      fleet: running,
      order: (hyperparameters: Record<string, unknown> = A_WHILE) => running.order({ hyperparameters }),
      /** The first progress of the newest train job that fits. */
      progress: (fits: (progress: StepProgress) => boolean): Promise<StepProgress> =>
        until(
          'progress of the train job',
          async () => {
            const parsed = stepProgressSchema.safeParse((await running.step('train'))?.progress)
            return parsed.success && fits(parsed.data) && parsed.data
          },
          15_000,
        ),
    }
  }

  /** All of this machine's programs but nvidia-smi. */
  async function pathWithoutSmi(): Promise<string> {
    const bin = join(temporary.path, 'bin')
    await mkdir(bin)
    const known = new Set(['nvidia-smi'])
    for (const folder of (process.env.PATH ?? '').split(delimiter)) {
      for (const name of await readdir(folder).catch(() => [])) {
        if (!known.has(name)) await symlink(join(folder, name), join(bin, name))
        known.add(name)
      }
    }
    return bin
  }
})

/** When BullMQ noted progress of the host's train job, in milliseconds. */
async function progressTimes({ link, record }: Fleet): Promise<number[]> {
  const queue = queueNames.host((await record()).hostId ?? '', 'train')
  const events = await link.client.xrange(`${link.prefix}:${queue}:events`, '-', '+')
  return events.filter(([, fields]) => fields.includes('progress')).map(([id]) => Number(id.split('-')[0]))
}
