import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { detect, inboxOf, metric, upload } from '../helpers/edge-clients.js'
import { type Edge, ORGANIZATION, PROJECT, startEdge } from '../helpers/edge-detector.js'
import { noiseJpeg } from '../helpers/jpegs.js'
import { until } from '../helpers/until.js'

const PRELOAD = new URL('../fixtures/preload/jumps-its-clock.js', import.meta.url)
const FOR_MS = 6000

describe('A whole detector whose clock jumps by an hour, to and fro', function () {
  this.timeout(90_000)
  let edge: Edge
  before(async () => {
    edge = await startEdge({ env: { NODE_OPTIONS: `--import ${fileURLToPath(PRELOAD)}` } })
  })
  after(() => edge.close())

  it('detects, saves, sends and updates as ever, and ends no thread', async () => {
    const jpeg = await noiseJpeg()
    const { id, version } = await edge.addModel()
    const statuses = new Set<number>()
    const sources: string[] = []
    const isOverAt = performance.now() + FOR_MS

    await edge.loop.setTarget(ORGANIZATION, PROJECT, id)
    while (performance.now() < isOverAt) {
      const source = `${sources.length}`
      const answers = [
        await upload(edge, [jpeg], { source }),
        await detect(edge, jpeg, { autoupload: 'all', source: `d${source}` }),
      ]
      for (const { status } of answers) statuses.add(status)
      sources.push(source, `d${source}`)
      await sleep(50)
    }

    expect([...statuses]).to.deep.equal([200])
    await edge.untilModel(version)
    await until('all is sent', async () => (await metric(edge, 'loopfleet_detector_outbox_normal')) === 0, 30_000)
    expect((await inboxOf(edge)).map(({ source }) => source)).to.have.members(sources)
    expect(await edge.detector.log()).not.to.contain('inference is started again')
    expect((await edge.detector.end()).exitCode).to.equal(0)
  })
})
