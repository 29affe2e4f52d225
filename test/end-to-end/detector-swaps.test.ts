import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { type Answer, detect, memoryOf, put } from '../helpers/edge-clients.js'
import { type Edge, ORGANIZATION, PROJECT, startEdge } from '../helpers/edge-detector.js'
import { times } from '../helpers/thorough.js'
import { until } from '../helpers/until.js'
import { plainJpeg } from '../inference/images.js'

const SWAPS = times(3, 200)
const MANY = 200
const MOST_GROWTH = 1.02
const CLIENTS = 4
/** Between two images of a client. */
const PAUSE_MS = 5
const MODELS = 3

describe('A whole detector under load', function () {
  this.timeout(90_000 + SWAPS * 20_000)
  let edge: Edge
  afterEach(() => edge.close())

  it('refuses images with a time to come again while it frees the old model for the new one', async () => {
    edge = await startEdge({ dialect: '0.8', env: { EXCLUSIVE_MODEL_BUILD: '1' } })
    const { id, version } = await edge.addModel()
    const image = await plainJpeg(64, 48, 'red')
    const refusals: Answer[] = []

    await edge.loop.setTarget(ORGANIZATION, PROJECT, id)
    await until(
      'the new one answers',
      async () => {
        const answer = await detect(edge, image, { autoupload: 'disabled' })
        if (answer.status !== 200) refusals.push(answer)
        return answer.body.box_detections?.[0]?.model_name === version
      },
      60_000,
    )

    expect(refusals).not.to.be.empty
    for (const { status, headers, body } of refusals) {
      expect(status).to.equal(503)
      expect(Number(headers.get('retry-after'))).to.be.greaterThan(0)
      expect(body.detail).to.contain(version)
    }
  })

  it(`follows the Loop's deployment target ${SWAPS} times without a failed request`, async () => {
    edge = await startEdge({ dialect: '0.8', args: ['--threads', '2'] }) // its status, told after each change, is answered with the target
    const models = [await edge.addModel(), await edge.addModel(), await edge.addModel()]
    const image = await plainJpeg(64, 48, 'red')
    const statuses = new Map<number, number>()
    const versions = new Set<string | undefined>()
    let isOver = false
    const clients = Array.from({ length: CLIENTS }, async () => {
      while (!isOver) {
        const { status, body } = await detect(edge, image, { autoupload: 'disabled' })
        statuses.set(status, (statuses.get(status) ?? 0) + 1)
        versions.add(body.box_detections?.[0]?.model_name)
        await sleep(PAUSE_MS)
      }
    })
    const memory: number[] = []

    for (let swap = 0; swap < SWAPS; swap += 1) {
      const { id = '', version = '' } = models[swap % MODELS] ?? {}
      await edge.loop.setTarget(ORGANIZATION, PROJECT, id)
      for (const mode of ['detecting', 'idle']) await put(edge, '/operation_mode', mode) // asks the Loop immediately
      await edge.untilModel(version)
      if (SWAPS >= MANY) memory.push(await settledMb(edge))
    }
    isOver = true
    await Promise.all(clients)

    expect([...statuses.keys()]).to.deep.equal([200])
    expect(versions).to.include.all.keys(...models.slice(0, SWAPS).map(({ version }) => version))
    if (SWAPS < MANY) return
    console.log(`      ${statuses.get(200)} answers, MB after each tenth swap: ${everyTenth(memory)}`)
    const growth = meanOf(memory.slice(-100)) / meanOf(memory.slice(-200, -100)) // single looks differ by a tenth
    expect(growth, 'of memory in the last hundred swaps beside the hundred before').to.be.at.most(MOST_GROWTH)
  })
})

/** The least of some looks, since the model before may still be there at the first. */
async function settledMb(edge: Edge): Promise<number> {
  const looks: number[] = []
  for (let look = 0; look < 6; look += 1) {
    looks.push((await memoryOf(edge)).nowMb)
    await sleep(80)
  }
  return Math.min(...looks)
}

function everyTenth(values: readonly number[]): string {
  const tenths = values.filter((_, index) => index % 10 === 9)
  return tenths.map(Math.round).join(' ')
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}
