import { expect } from 'chai'
import { type Fleet, startFleet } from '../helpers/fleet.js'
import { until } from '../helpers/until.js'

const LONG = { epochs: 500, epoch_seconds: 0.1 }
const SENTENCE = 'No host lives, so nothing is worked on: start a worker.'

describe('a training whose host died, with no other host alive', function () {
  this.timeout(90_000)
  let fleet: Fleet
  afterEach(async () => fleet?.close())

  it('waits and says so everywhere, and ends by an abort', async () => {
    fleet = await startFleet({ workers: ['a'], lockMs: 3000 })
    await fleet.order({ hyperparameters: LONG })
    await fleet.until({ epoch: 1 })

    await fleet.killTree()
    await until('it waits', async () => (await fleet.record()).life === 'waiting', 30_000)
    const node = () => fleet.loop.node(String(fleet.trainer.facts.uuid))
    await until('the Loop knows it', () => node()?.state === 'initialized', 40_000)
    const texts = [await fleet.run('status'), await fleet.run('trainings')].map(({ output }) => output)
    const errors = fleet.seen().errors
    await fleet.abort()
    await fleet.until({ ended: true })

    for (const text of texts) expect(text).to.include(SENTENCE)
    expect(texts[1]).to.include('waiting for a host')
    expect(errors).to.include({ prepare: SENTENCE })
    expect(fleet.seen().outcome).to.equal('aborted')
  })

  it('is found by commands alone, when no node lives either', async () => {
    fleet = await startFleet({ workers: ['a'], lockMs: 3000 })
    await fleet.order({ hyperparameters: LONG })
    await fleet.until({ epoch: 1 })
    await fleet.trainer.kill('SIGKILL')
    await fleet.killTree()
    const { id } = await fleet.record()

    await fleet.run('trainings', 'abort', id)
    await until(
      'it has ended',
      async () => {
        await fleet.run('trainings')
        return (await fleet.record()).outcome === 'aborted'
      },
      30_000,
    )
  })
})
