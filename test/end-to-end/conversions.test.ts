import { expect } from 'chai'
import { type ConverterFleet, converterFile, startConverterFleet } from '../helpers/converter-fleet.js'

const DEMO = ['zauberzeug', 'demo'] as const

describe('a converter', function () {
  this.timeout(90_000)
  let fleet: ConverterFleet

  beforeEach(async () => {
    fleet = await startConverterFleet()
  })
  afterEach(() => fleet.close())

  it('adds the target format to a model, which keeps its id, version and comment', async () => {
    const id = await fleet.upload({ 'model.a': 'hello' })
    const [before] = fleet.loop.models(...DEMO).filter((model) => model.id === id)

    await fleet.start('converter', converterFile('a-to-b'))
    await fleet.untilFormat(id, 'format_b')

    const [after] = fleet.loop.models(...DEMO).filter((model) => model.id === id)
    expect(after).to.deep.equal({ ...before, formats: ['format_a', 'format_b'] })
    expect((await fleet.download(id, 'format_b')).toString('latin1')).to.contain('HELLO')
    expect(fleet.uploads(id, 'format_b')).to.equal(1)
  })
})
