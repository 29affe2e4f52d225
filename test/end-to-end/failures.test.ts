import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { expect } from 'chai'
import { failureOf } from '../../src/queue/trainings/failure-facts.js'
import { type Fleet, startFleet } from '../helpers/fleet.js'
import { tidyUp } from '../helpers/tidy-up.js'
import { until } from '../helpers/until.js'

describe('a training whose program fails', function () {
  this.timeout(90_000)
  let fleet: Fleet
  before(async () => {
    fleet = await startFleet()
  })
  afterEach(async function () {
    await tidyUp(fleet, this.currentTest)
  })
  after(async () => fleet?.close())

  const failure = () => until('the failure is in the journal', async () => failureOf(await fleet.record()))
  const errorsSeen = () => fleet.seen().history.map(({ errors }) => errors)
  const show = async (...flags: string[]) => {
    const { output } = await fleet.run('trainings', 'show', (await fleet.record()).id, ...flags)
    return output
  }

  it('goes on from its checkpoint, tells the Loop why meanwhile, and remembers it', async () => {
    await fleet.order({
      hyperparameters: { epochs: 30, epoch_seconds: 0.1, crash_at_epoch: 3, print_at_exit: 'out of imaginary memory' },
    })

    const facts = await failure()
    expect(facts).to.deep.include({ stage: 'train', attempt: 1, exitCode: 3, signal: null, outOfMemory: true })
    expect(facts.message).to.equal('The trainer exited with code 3: the imaginary graphics card is out of memory')
    expect(facts.lastLogLines?.at(-1)).to.equal('out of imaginary memory')
    await until('the Loop has it', () => fleet.seen().errors.run_training === facts.message)

    await until('it runs again', () => Object.keys(fleet.seen().errors).length === 0)
    expect((await fleet.record()).state).to.equal('running')
    expect(fleet.seen().outcome).to.equal(null)
    await fleet.until({ ended: true })
    expect(fleet.seen().outcome).to.equal('completed')
    expect((await fleet.record()).errors).to.deep.equal({})
    expect(await show()).to.match(/^Last failure in train, attempt 1 on \S+, \d+ s ago: .*\[LF_TRAINER_EXITED\]$/m)
  })

  it('is known to be out of memory when the kernel kills it', async () => {
    await fleet.order({ hyperparameters: { epochs: 20, epoch_seconds: 0.1 } })
    await fleet.until({ epoch: 2 })
    const [start] = await fleet.starts()

    process.kill(start?.pid ?? 0, 'SIGKILL')

    expect(await failure()).to.deep.include({ exitCode: null, signal: 'SIGKILL', outOfMemory: true })
    await fleet.until({ ended: true })
    expect(fleet.seen().outcome).to.equal('completed')
    expect(errorsSeen().some(({ run_training = '' }) => run_training.includes('out of memory'))).to.equal(true)
    expect(await show()).to.include('The program ended with signal SIGKILL (out of memory).')
  })

  it('fails after three tries with its cause, and a retry goes on from the failed step', async () => {
    await fleet.order({ hyperparameters: { epochs: 2, fail_convert: true } })
    await fleet.until({ ended: true }, 40_000)

    const failed = await fleet.record()
    expect(failed.outcome).to.equal('failed')
    expect(Object.keys(failed.errors)).to.deep.equal(['upload_model'])
    expect(failureOf(failed)).to.deep.include({ stage: 'convert', attempt: 3, exitCode: 1, outOfMemory: false })
    expect(errorsSeen()).to.deep.include(failed.errors)
    const view = JSON.parse(await show('--json'))
    expect(view.failure.lastLogLines.at(-1)).to.equal('conversion fails as ordered')
    expect(await show()).to.match(/Its last lines:\n(?: {2}.*\n)* {2}conversion fails as ordered/)
    expect(fleet.uploads()).to.deep.equal({})

    const file = join(await fleet.workspace(), 'training.json')
    const training = JSON.parse(await readFile(file, 'utf8'))
    await writeFile(file, JSON.stringify({ ...training, hyperparameters: { epochs: 2 } }))
    const { exitCode, output } = await fleet.run('trainings', 'retry', failed.id)
    expect(exitCode, output).to.equal(0)
    await until('it has completed', async () => (await fleet.record()).outcome === 'completed')

    const { steps, errors } = await fleet.record()
    expect(errors).to.deep.equal({})
    expect(steps.train).to.deep.equal(failed.steps.train)
    expect(steps['download-data']).to.deep.equal(failed.steps['download-data'])
    expect(fleet.uploads()).to.deep.equal({ mocked: 1, mocked_converted: 1 })
    expect(Object.values(fleet.detectionCounts())).to.deep.equal(Array(10).fill(1))
  })
})
