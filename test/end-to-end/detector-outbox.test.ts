import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { inboxOf, metric, put, upload } from '../helpers/edge-clients.js'
import { type Edge, startEdge } from '../helpers/edge-detector.js'
import { noiseJpeg } from '../helpers/jpegs.js'
import { times } from '../helpers/thorough.js'
import { until } from '../helpers/until.js'

const IMAGES = times(100, 1000)
/** Most images of one try to send. */
const BATCH = 20
/** Beyond those of the other test. */
const POISON = 87
const PER_REQUEST = 20

describe('The outbox of a whole detector', function () {
  this.timeout(120_000 + IMAGES * 600)
  let edge: Edge
  beforeEach(async () => {
    edge = await startEdge()
  })
  afterEach(() => edge.close())

  /** Uploads images whose source is their number; the poisoned one has a head, but is cut. */
  async function save(from: number, to: number): Promise<void> {
    const jpeg = await noiseJpeg()
    for (let number = from; number < to; number += 1) {
      const image = number === POISON ? jpeg.subarray(0, jpeg.length / 2) : jpeg
      const answer = await upload(edge, [image], { source: `${number}` })
      expect(answer.status, `${number}: ${JSON.stringify(answer.body)}`).to.equal(200)
    }
  }

  const sources = async () => (await inboxOf(edge)).map(({ source }) => Number(source)).sort((a, b) => a - b)
  const numbers = (count: number) => Array.from({ length: count }, (_, number) => number)

  it(`sends all but one of ${IMAGES} images each once, and sets that one aside, which the Loop refuses`, async () => {
    await put(edge, '/outbox_mode', 'stopped')
    await Promise.all(
      numbers(IMAGES / PER_REQUEST / 5).map((lane) => save(lane * PER_REQUEST * 5, (lane + 1) * PER_REQUEST * 5)),
    )
    await put(edge, '/outbox_mode', 'continuous_upload')
    await until(
      'all are dealt with',
      async () => (await metric(edge, 'loopfleet_detector_outbox_normal')) === 0,
      90_000,
    )

    expect(await sources()).to.deep.equal(numbers(IMAGES).filter((number) => number !== POISON))
    expect(await metric(edge, 'loopfleet_detector_outbox_set_aside')).to.equal(1)
    expect(await readdir(join(edge.data, 'outbox', 'set_aside'))).to.have.lengthOf(1)
  })

  it('keeps what comes while the Loop is away, over kills, within its limit, and brings the newest back', async () => {
    const most = 30
    await edge.detector.end()
    await edge.start({ args: ['--outbox-images', `${most}`] })
    await edge.stopLoop()
    for (let life = 0; life < 3; life += 1) {
      await save(life * PER_REQUEST, (life + 1) * PER_REQUEST)
      await edge.detector.kill('SIGKILL')
      await edge.start({ args: ['--outbox-images', `${most}`] })
      expect(await metric(edge, 'loopfleet_detector_outbox_normal')).to.be.at.most(most)
    }

    await edge.startLoop()

    await until('all are sent', async () => (await inboxOf(edge)).length === most, 90_000)
    // What a try to send has under way is not dropped; then a newer one is.
    const kept = await sources()
    expect(new Set(kept)).to.have.lengthOf(most)
    expect(kept[0]).to.be.at.least(3 * PER_REQUEST - most - BATCH)
    expect(kept.at(-1)).to.equal(3 * PER_REQUEST - 1)
  })
})
