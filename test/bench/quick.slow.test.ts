import { expect } from 'chai'
import { execa } from 'execa'
import { z } from 'zod'
import { interpreterOf } from '../../bench/parts/python-library.js'
import { projectRoot } from '../helpers/project-root.js'

const lineSchema = z.strictObject({
  name: z.string(),
  unit: z.string(),
  ours: z.number().positive(),
  other: z.number().positive(),
  other_name: z.string(),
  ratio: z.number().positive(),
  runs: z.literal(1),
})

describe('npm run bench', () => {
  before('installs the Python library', async function () {
    this.timeout(600_000)
    await interpreterOf('0.27.0')
  })

  it('prints its cheap figures as one line of JSON each, side by side with what they are measured by', async function () {
    this.timeout(180_000)

    const { stdout } = await bench('--quick', '--json', 'missing', 'models', 'queue')

    const lines = stdout.split('\n').map((line) => lineSchema.parse(JSON.parse(line)))
    const names = ['missing.500', 'models.4-mib.down.peak-memory', 'models.4-mib.up.time', 'queue.training.time']
    expect(lines.map(({ name }) => name)).to.include.members(names)
    expect(new Set(lines.map(({ other_name }) => other_name))).to.include('bare BullMQ jobs')
  })

  it('prints those of the detector too', async function () {
    this.timeout(240_000)

    const { stdout } = await benchDetector('--quick', '--json', 'rest-model')

    const lines = stdout.split('\n').map((line) => JSON.parse(line) as { name: string; ours: number })
    expect(lines.map(({ name }) => name)).to.include.members([
      'detector.rest.model.8.best',
      'detector.rest.model.1.p50-alone',
    ])
    expect(lines.every(({ ours }) => ours > 0)).to.equal(true)
  })

  it('names the figures there are when it is asked for another one', async () => {
    const { exitCode, stderr } = await bench('speed')

    expect(exitCode).to.equal(2)
    expect(stderr).to.match(/no figure "speed"; there are order, images, gpu-idle, /)
  })

  it('refuses a number of runs that is none', async () => {
    const { exitCode, stderr } = await bench('--runs', 'often')

    expect(exitCode).to.equal(2)
    expect(stderr).to.contain('--runs must be a whole number from 1, got "often".')
  })
})

const bench = (...args: readonly string[]) => run('main', args)
const benchDetector = (...args: readonly string[]) => run('detector', args)

function run(name: string, args: readonly string[]) {
  const isSource = import.meta.url.endsWith('.ts')
  const main = new URL(`../../bench/${name}${isSource ? '.ts' : '.js'}`, import.meta.url)
  const node = isSource ? ['--import', 'tsx'] : []
  return execa(process.execPath, [...node, main.pathname, ...args], { cwd: projectRoot(), reject: false })
}
