import { readFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { expect } from 'chai'
import { createNvidiaSmiProbe, type GpuProbe } from '../../src/executors/gpu/probe.js'
import { toReadCards } from '../../src/executors/gpu/smi-xml.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'
import { until } from '../helpers/until.js'
import { fixtures } from './support.js'

const TWO_GPUS = [
  {
    index: 0,
    name: 'NVIDIA L4',
    utilizationPercent: 2,
    memoryUsedBytes: 1024 ** 2,
    memoryTotalBytes: 23034 * 1024 ** 2,
    temperatureCelsius: 45,
    powerWatts: 27.22,
  },
  {
    index: 1,
    name: 'NVIDIA L4',
    utilizationPercent: 3,
    memoryUsedBytes: 1024 ** 2,
    memoryTotalBytes: 23034 * 1024 ** 2,
    temperatureCelsius: 40,
    powerWatts: 29.54,
  },
]

describe('GPU probe', function () {
  this.timeout(20_000)
  const folder = useTemporaryFolder()
  const path = process.env.PATH ?? ''

  /** Puts one of the programs of test/fixtures/nvidia-smi before all others. */
  function useSmi(name: string): void {
    process.env.PATH = [join(fixtures, 'nvidia-smi', name), path].join(delimiter)
  }

  async function starts(): Promise<number[]> {
    const text = await readFile(join(folder.path, 'starts'), 'utf8').catch(() => '')
    return text.trim().split('\n').filter(Boolean).map(Number)
  }

  beforeEach(() => {
    process.env.NVIDIA_SMI_STARTS = join(folder.path, 'starts')
  })
  afterEach(() => {
    process.env.PATH = path
    delete process.env.NVIDIA_SMI_STARTS
  })

  it('reads the figures of two GPUs', async () => {
    useSmi('two-gpus')

    expect(await figures(createNvidiaSmiProbe())).to.deep.equal(TWO_GPUS)
  })

  for (const name of ['fails', 'rubbish']) {
    it(`answers null when nvidia-smi ${name === 'fails' ? 'fails' : 'prints half an answer'}`, async () => {
      useSmi(name)

      expect(await createNvidiaSmiProbe().read()).to.equal(null)
    })
  }

  it('answers null when there is no nvidia-smi', async () => {
    process.env.PATH = folder.path

    expect(await createNvidiaSmiProbe().read()).to.equal(null)
  })

  it('answers null within its time-out when nvidia-smi hangs, and ends it with its children', async () => {
    useSmi('hangs')
    const probe = createNvidiaSmiProbe({ timeoutMs: 300 })
    const began = performance.now()

    expect(await probe.read()).to.equal(null)

    expect(performance.now() - began).to.be.within(290, 2000)
    const [pid = 0] = await starts()
    await until('it is gone', () => !isAlive(pid))
  })

  it('never runs two at the same time, however often it is asked', async () => {
    useSmi('hangs')
    const probe = createNvidiaSmiProbe({ timeoutMs: 300 })

    const answers = await Promise.all([probe.read(), probe.read(), probe.read()])

    expect(answers).to.deep.equal([null, null, null])
    expect(await starts()).to.have.lengthOf(1)
  })

  it('works again after a hanging one was ended', async () => {
    useSmi('hangs')
    const probe = createNvidiaSmiProbe({ timeoutMs: 200 })
    await probe.read()
    useSmi('two-gpus')

    expect(await figures(probe)).to.deep.equal(TWO_GPUS)
  })

  it('leaves no hanging nvidia-smi behind when the reader goes away', async () => {
    useSmi('hangs')
    const abort = new AbortController()
    const answer = createNvidiaSmiProbe().read({ signal: abort.signal })
    const pid = await until('it hangs', async () => (await starts())[0])

    abort.abort()

    expect(await answer).to.equal(null)
    await until('it is gone', () => !isAlive(pid))
  })
})

describe('GPU figures', () => {
  const wrap = (gpu: unknown) => ({ nvidia_smi_log: { gpu } })

  it('of one GPU, which is no list', () => {
    const [figures] = toReadCards(wrap({ utilization: { gpu_util: '5 %' } })) ?? []

    expect(figures?.figures).to.include({ index: 0, name: null, utilizationPercent: 5, powerWatts: null })
  })

  it('find the power wherever the driver put it', () => {
    const power = (gpu: unknown) => toReadCards(wrap(gpu))?.[0]?.figures.powerWatts

    expect(power({ power_readings: { power_draw: '75.5 W' } })).to.equal(75.5)
    expect(power({ gpu_power_readings: { power_draw: 'N/A', average_power_draw: '80.00 W' } })).to.equal(80)
    expect(power({ gpu_power_readings: { instant_power_draw: '81.00 W', average_power_draw: '80.00 W' } })).to.equal(81)
    expect(power({ gpu_power_readings: { power_draw: 'Requested functionality has been deprecated' } })).to.equal(null)
  })

  it('are null for what is no answer of nvidia-smi', () => {
    for (const answer of [
      undefined,
      null,
      '',
      {},
      { nvidia_smi_log: '' },
      { nvidia_smi_log: { attached_gpus: '0' } },
    ]) {
      expect(toReadCards(answer)).to.equal(null)
    }
    expect(toReadCards(wrap(['rubbish', null, 7]))?.map((one) => one.figures.utilizationPercent)).to.deep.equal([
      null,
      null,
      null,
    ])
  })
})

/** In the order of nvidia-smi. */
async function figures(probe: GpuProbe) {
  return (await probe.read())?.map((card, index) => ({ ...card.figures, index }))
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
