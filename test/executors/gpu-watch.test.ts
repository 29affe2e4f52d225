import { writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { expect } from 'chai'
import { silentLogger } from '../../src/base/logger/logger.js'
import { createNvidiaSmi } from '../../src/executors/gpu/ask-nvidia-smi.js'
import type { GpuLimits, GpuOffer } from '../../src/executors/gpu/gpu-offer.js'
import { type GpuWatch, type GpuWatchOptions, openGpuWatch } from '../../src/executors/gpu/gpu-watch.js'
import { createNvidiaSmiProbe } from '../../src/executors/gpu/probe.js'
import { readInventory } from '../../src/executors/gpu/read-inventory.js'
import { rejection } from '../helpers/rejection.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'
import { until } from '../helpers/until.js'
import { fixtures } from './support.js'

describe('GPU watch', function () {
  this.timeout(30_000)
  const folder = useTemporaryFolder()
  const path = process.env.PATH ?? ''
  let watch: GpuWatch | undefined

  beforeEach(() => {
    process.env.PATH = [join(fixtures, 'nvidia-smi', 'switched'), path].join(delimiter)
    process.env.NVIDIA_SMI_SWITCH = join(folder.path, 'switch')
  })
  afterEach(async () => {
    await watch?.close()
    watch = undefined
    process.env.PATH = path
    delete process.env.NVIDIA_SMI_SWITCH
    delete process.env.NVIDIA_SMI_CASE
  })

  /** From now on nvidia-smi is that of this folder of the fixtures. */
  const answerAs = (name: string) => writeFile(join(folder.path, 'switch'), name)

  async function open(limits: GpuLimits = {}, options: Partial<GpuWatchOptions> = {}): Promise<GpuWatch> {
    const smi = createNvidiaSmi({ path: process.env.PATH, root: folder.path })
    const read = (how: { readonly timeoutMs: number }) => readInventory(how, { smi, hardwareSigns: async () => [] })
    const probe = createNvidiaSmiProbe()
    const quick = { startMs: 5000, rereadMs: 5000, retryMs: 100, figuresEveryMs: 50 }
    watch = await openGpuWatch({ limits, ...quick, ...options }, { read, probe, log: silentLogger() })
    return watch
  }

  /** Resolves with the first offer in this state, from now on. */
  async function offered(state: GpuOffer['state']): Promise<GpuOffer> {
    await until(`the offer is ${state}`, () => watch?.offer.state === state)
    return watch?.offer ?? { state: 'none', reason: '' }
  }

  it('offers the cards with their figures, which stay fresh', async () => {
    await answerAs('two-gpus')

    const { offer, figures } = await open()

    expect(offer).to.have.property('cards').with.lengthOf(2)
    expect(figures()).to.have.lengthOf(2)
    const before = figures()
    await until('newer figures', () => figures() !== before)
    expect(figures()?.[1]).to.include({ index: 1, temperatureCelsius: 40 })
  })

  it('shows the figures of the offered cards alone', async () => {
    await answerAs('two-gpus')

    const { figures } = await open({ cudaVisible: '1' })
    const before = figures()
    await until('newer figures', () => figures() !== before)

    expect(figures()?.map(({ index }) => index)).to.deep.equal([1])
  })

  it('has fresh figures also where node-nvidia-smi refuses the answers for a warning', async () => {
    await answerAs('cases')
    process.env.NVIDIA_SMI_CASE = 'warning'

    const { figures } = await open()
    const before = figures()
    await until('newer figures', () => figures() !== before)

    expect(figures()).to.have.lengthOf(1)
  })

  it('offers none while they are unreadable, with the reason, and them as soon as they are readable', async () => {
    await answerAs('fails')
    const { offer } = await open()
    expect(offer).to.have.property('reason').that.includes("couldn't communicate")

    await answerAs('two-gpus')

    expect(await offered('gpus'))
      .to.have.property('cards')
      .with.lengthOf(2)
  })

  it('does not wait for a slow tool at the start, and offers its cards after a later reading', async () => {
    await answerAs('cases')
    process.env.NVIDIA_SMI_CASE = 'slow'
    const startedAt = performance.now()

    const { offer } = await open({}, { startMs: 300, rereadMs: 15_000 })

    expect(performance.now() - startedAt).to.be.below(4000)
    expect(offer).to.have.property('reason').that.includes('did not answer')
    await until('the offer', () => watch?.offer.state === 'gpus', 20_000)
  })

  it('withdraws the offer when they become unreadable, and tells it', async () => {
    await answerAs('two-gpus')
    const { onChange } = await open()
    const heard: string[] = []
    onChange(({ state }) => heard.push(state))

    await answerAs('fails')
    await offered('unreadable')
    expect(watch?.figures()).to.equal(null)
    await answerAs('two-gpus')
    await offered('gpus')

    expect(heard).to.deep.equal(['unreadable', 'gpus'])
  })

  it('goes on with the other card when one vanishes, under the index it had', async () => {
    await answerAs('cases')
    process.env.NVIDIA_SMI_CASE = 'two'
    await open({ flag: ['0', '1'] })

    await answerAs('only-second')
    await until('one card', () => watch?.offer.state === 'gpus' && watch.offer.cards.length === 1)

    expect(watch?.offer)
      .to.have.nested.property('cards[0]')
      .that.includes({ index: 1, visible: uuid(1) })
    expect(watch?.offer).to.have.property('reason').that.includes('GPU 0')
  })

  it('takes no notice of a driver when it is told to offer none', async () => {
    await answerAs('hangs')

    expect((await open({ flag: [] })).offer).to.include({ state: 'none' })
  })

  it('refuses to open for a card that the host does not have', async () => {
    await answerAs('two-gpus')

    expect(await rejection(open({ flag: ['5'] }))).to.include({ code: 'LF_INVALID_INPUT' })
  })
})

function uuid(index: number): string {
  return `GPU-7f1c2d3e-0000-0000-0000-00000000000${index}`
}
