import { expect } from 'chai'
import { inboxOf, put, upload } from '../helpers/edge-clients.js'
import { type Edge, ORGANIZATION, PROJECT, startEdge } from '../helpers/edge-detector.js'
import { noiseJpeg } from '../helpers/jpegs.js'
import { until } from '../helpers/until.js'

const OTHER = 'other'

describe('A whole detector that is given to another project', function () {
  this.timeout(90_000)
  let edge: Edge
  before(async () => {
    edge = await startEdge()
    await edge.loop.generate({ organization: ORGANIZATION, project_name: OTHER, complete: 1 })
  })
  after(() => edge.close())

  const sources = async (project: string) => (await inboxOf(edge, project)).map(({ source }) => source)

  it('leaves models and images of the first one alone until it is that again', async () => {
    const jpeg = await noiseJpeg()
    await put(edge, '/outbox_mode', 'stopped')
    for (const source of ['a', 'b']) await upload(edge, [jpeg], { source })
    await edge.detector.end()

    await edge.start({ env: { LOOP_PROJECT: OTHER }, waitForModel: false })
    await upload(edge, [jpeg], { source: 'c' })
    await until('its own image is there', async () => (await sources(OTHER)).length > 0, 30_000)
    const seen = edge.loop.nodes().find(({ errors }) => errors.load_model !== undefined)
    expect((await edge.about()).model_info).to.equal(null)
    expect(seen?.errors.load_model).to.contain(`${ORGANIZATION}/${PROJECT}`)
    expect([await sources(OTHER), await sources(PROJECT)]).to.deep.equal([['c'], []])
    await edge.detector.end()

    await edge.start()
    await until('the images of the first one are there', async () => (await sources(PROJECT)).length === 2, 30_000)
    expect(await sources(PROJECT)).to.have.members(['a', 'b'])
    expect(await sources(OTHER)).to.deep.equal(['c'])
  })
})
