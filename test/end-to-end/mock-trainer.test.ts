import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { type Fleet, startFleet } from '../helpers/fleet.js'
import { tidyUp } from '../helpers/tidy-up.js'
import { until } from '../helpers/until.js'

/** Syncs only when told to, and loses no time. */
const BY_STEPS = { sync_seconds: 3600, delay_seconds: 0 }

describe('the mock trainer in a fleet', function () {
  this.timeout(90_000)
  let fleet: Fleet
  let address: string

  before(async () => {
    const env = { USE_BACKDOOR_CONTROLS: '1' }
    fleet = await startFleet({ trainerFile: 'mock', threads: 1, trainerFlags: ['--port', '0'], env })
    address = `http://127.0.0.1:${fleet.trainer.facts.port}`
  })
  afterEach(async function () {
    await tidyUp(fleet, this.currentTest)
  })
  after(async () => fleet?.close())

  async function send(method: 'PUT' | 'POST', path: string, body?: string) {
    const answer = await fetch(`${address}${path}`, { method, body })
    return { status: answer.status, body: await answer.json() }
  }
  const isFine = { status: 200, body: null }

  it('answers 409 to steps and kills while nothing trains', async () => {
    const isIdle = { status: 409, body: { detail: 'trainer is not running' } }

    expect(await send('POST', '/steps', '3')).to.deep.equal(isIdle)
    expect(await send('POST', '/kill_training_process')).to.deep.equal(isIdle)
  })

  it('trains until it is stopped, step by step, and its model goes all the way', async () => {
    await fleet.order({ hyperparameters: BY_STEPS })
    await fleet.until({ state: 'running' })

    expect(await send('POST', '/steps', '2')).to.deep.equal(isFine)
    await until('both models', () => fleet.seen().points.length === 2, 60_000)
    await fleet.stop()
    await fleet.until({ ended: true }, 60_000)

    expect(fleet.seen()).to.include({ outcome: 'completed' })
    expect(fleet.seen().points.map((point) => point.best_epoch)).to.deep.equal([1, 2])
    expect(fleet.uploads()).to.deep.equal({ mocked: 1, mocked_2: 1 })
    expect(Object.values(fleet.detectionCounts())).to.deep.equal(Array(10).fill(1))
  })

  it('resumes when its program is killed', async () => {
    await fleet.order({ hyperparameters: { ...BY_STEPS, syncs: 2 } })
    await fleet.until({ state: 'running' })
    await send('POST', '/steps', '1')
    await fleet.until({ epoch: 1 }, 60_000)

    expect(await send('POST', '/kill_training_process')).to.deep.equal(isFine)
    await until('the Loop sees it', () => JSON.stringify(fleet.seen().history).includes('SIGKILL'), 60_000)
    await until('it goes on', async () => (await send('POST', '/steps', '1')).status === 200, 60_000)
    await fleet.until({ ended: true }, 60_000)

    expect(fleet.seen()).to.include({ outcome: 'completed' })
    expect(fleet.seen().points.at(-1)?.best_epoch).to.equal(2)
  })

  it('fails as it is told to, in a training that begins later too', async () => {
    expect(await send('PUT', '/error_configuration', '{"begin_training": true}')).to.deep.equal(isFine)
    await fleet.order({ hyperparameters: BY_STEPS })
    await until(
      'the Loop sees it',
      () => JSON.stringify(fleet.seen().history).includes('not begun, as it was told to'),
      60_000,
    )
    await send('PUT', '/error_configuration', '{}')

    expect(await send('POST', '/reset')).to.deep.equal(isFine)
    await fleet.until({ ended: true }, 60_000)

    expect((await fleet.record()).outcome).to.equal('aborted')
  })

  it('provides no model while it is told not to', async () => {
    await send('PUT', '/provide_new_model', 'off')
    await fleet.order({ hyperparameters: { sync_seconds: 0, delay_seconds: 0 } })
    await fleet.until({ state: 'running' })
    const workspace = await fleet.workspace()
    await until('it looks around', async () =>
      (await readFile(join(workspace, 'events.jsonl'), 'utf8').catch(() => '')).includes('progress'),
    )
    expect((await fleet.record()).best).to.equal(null)

    await send('PUT', '/provide_new_model', 'on')
    await fleet.until({ epoch: 1 }, 60_000)
    await fleet.abort()
    await fleet.until({ ended: true }, 60_000)
  })

  for (const [method, path, body] of [
    ['PUT', '/provide_new_model', 'maybe'],
    ['PUT', '/error_configuration', '{"save_model": 7}'],
    ['PUT', '/error_configuration', 'nonsense'],
    ['POST', '/steps', 'many'],
    ['POST', '/steps', '-1'],
    ['POST', '/steps', ''],
  ] as const) {
    it(`refuses ${method} ${path} with ${JSON.stringify(body)}`, async () => {
      const answer = await send(method, path, body)

      expect(answer.status).to.be.oneOf([400, 422])
      expect(answer.body).to.have.property('detail').that.is.a('string')
    })
  }
})
