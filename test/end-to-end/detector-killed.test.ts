import { randomBytes } from 'node:crypto'
import { readdir, readFile, readlink } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { detect, inboxOf, metric, put, upload } from '../helpers/edge-clients.js'
import { type Edge, ORGANIZATION, PROJECT, startEdge } from '../helpers/edge-detector.js'
import { noiseJpeg } from '../helpers/jpegs.js'
import { createRandom } from '../helpers/random.js'
import { times } from '../helpers/thorough.js'
import { until } from '../helpers/until.js'
import { plainJpeg } from '../inference/images.js'

const KILLS = times(3, 100)
const SEED = Number(process.env.LOOPFLEET_TEST_SEED ?? 20261122)
const MOMENTS = ['update', 'save', 'upload'] as const
const MODELS = 3
/** So that each update downloads. */
const KEEP_ONE = ['--keep-models', '1']
const WEIGHTS = 5_000_000
const CLIENTS = 3
/** So much may be under way, and not be confirmed, when the process is killed. */
const MOST_UNCONFIRMED = 4 * 20

describe('A detector that is killed with SIGKILL at any moment', function () {
  this.timeout(90_000 + KILLS * 30_000)
  let edge: Edge
  before(async () => {
    edge = await startEdge({ args: KEEP_ONE })
  })
  after(() => edge.close())

  it(`during updates, saving and uploads, ${KILLS} times, starts with a good model and loses no image`, async () => {
    const random = createRandom(SEED)
    const models = [await currentModel()]
    while (models.length < MODELS)
      models.push(await edge.addModel([{ name: 'weights.bin', data: randomBytes(WEIGHTS) }]))
    const versions = models.map(({ version }) => version)
    const acknowledged = new Set<string>()
    const halves = new Map<string, number>()
    const jpeg = await noiseJpeg()

    let wanted = models[1]
    await edge.loop.setTarget(ORGANIZATION, PROJECT, wanted?.id ?? null)
    for (let kill = 0; kill < KILLS; kill += 1) {
      const moment = MOMENTS[kill % MOMENTS.length] ?? 'save'
      const stopClients = saveAll(`${kill}`, jpeg, acknowledged)
      const taken = edge.loop.effects({ kind: 'image-upload' }).length
      if (moment === 'upload')
        await until('it uploads', () => edge.loop.effects({ kind: 'image-upload' }).length > taken, 30_000)
      if (moment === 'save') await until('it saves', () => hasStarting(acknowledged, `${kill}-`), 30_000)
      if (moment === 'update') {
        // A model during whose loading it was killed is kept away for a while, unless a person asks for it.
        await put(edge, '/model_version', 'follow_loop')
        const isOver = async () => (await servedVersion()) === wanted?.version
        await until('it updates', async () => (await halfDone()).includes('update') || (await isOver()), 30_000)
      }
      await sleep(random() * (moment === 'update' ? 1500 : 400)) // the moment is the point of the test
      expect(edge.detector.hasExited, 'it ended by itself').to.equal(false)
      await edge.detector.kill('SIGKILL')
      await stopClients()
      await everyFileParses()
      for (const what of await halfDone()) halves.set(what, (halves.get(what) ?? 0) + 1)

      // So that the next life begins with an update, which its first word with the Loop tells it.
      const served = await servedVersion()
      const others = models.filter(({ version }) => version !== served)
      wanted = others[Math.floor(random() * others.length)]
      await edge.loop.setTarget(ORGANIZATION, PROJECT, wanted?.id ?? null)
      await edge.start({ args: KEEP_ONE, waitForModel: false })
      const answer = await detect(edge, await redJpeg(), { autoupload: 'disabled' })
      expect(answer.status, `after kill ${kill}: ${JSON.stringify(answer.body)}`).to.equal(200)
      expect(answer.body.box_detections?.[0]?.model_name).to.be.oneOf(versions)
    }

    await until('all is sent', async () => (await metric(edge, 'loopfleet_detector_outbox_normal')) === 0, 120_000)
    const received = (await inboxOf(edge)).map(({ source }) => source)
    const lost = [...acknowledged].filter((source) => !received.includes(source))
    expect(lost).to.deep.equal([])
    expect(acknowledged.size).to.be.at.least(KILLS)
    const repeated = received.length - new Set(received).size
    expect(repeated, 'images sent again').to.be.at.most(KILLS * MOST_UNCONFIRMED)
    if (KILLS > MOMENTS.length * 3)
      console.log(
        `      ${acknowledged.size} images acknowledged, ${repeated} sent again; half done at a kill: ${JSON.stringify([...halves])}`,
      )
    await until('half models are gone', async () => !(await halfDone()).includes('update'), 30_000)
  })

  /** Clients that save one image after the other, until they are stopped; the names of those answered are added. */
  function saveAll(life: string, jpeg: Buffer, acknowledged: Set<string>): () => Promise<void> {
    let isOver = false
    const clients = Array.from({ length: CLIENTS }, async (_, client) => {
      for (let number = 0; !isOver; number += 1) {
        const source = `${life}-${client}-${number}`
        const answer = await upload(edge, [jpeg], { source }).catch(() => undefined)
        if (answer?.status === 200) acknowledged.add(source)
        else return
      }
    })
    return async () => {
      isOver = true
      await Promise.all(clients)
    }
  }

  async function currentModel(): Promise<{ readonly id: string; readonly version: string }> {
    const { id, version } = (await edge.about()).model_info as { id: string; version: string }
    return { id, version }
  }

  async function servedVersion(): Promise<string> {
    return basename(await readlink(join(edge.data, 'current_model')))
  }

  /** What the killed process was in the middle of, as its files show. */
  async function halfDone(): Promise<string[]> {
    const models = await readdir(join(edge.data, 'models'))
    const images = await readdir(join(edge.data, 'outbox', 'tmp'))
    const { loading } = JSON.parse(await readFile(join(edge.data, 'models', '.loading.json'), 'utf8'))
    const found = {
      update: loading !== null || models.some((name) => /^\.(incoming|outgoing)-/.test(name)),
      save: images.length > 0,
      upload: (await readdir(join(edge.data, 'outbox', 'normal'))).length > 0,
    }
    return MOMENTS.filter((moment) => found[moment])
  }

  async function everyFileParses(): Promise<void> {
    const files = await readdir(edge.data, { recursive: true })
    const isInTheWorks = (name: string) => /^(outbox\/tmp|models\/\.(incoming|outgoing)-)/.test(name)
    for (const file of files.filter((name) => name.endsWith('.json') && !isInTheWorks(name))) {
      const text = await readFile(join(edge.data, file), 'utf8')
      expect(() => JSON.parse(text), file).not.to.throw()
    }
  }
})

function hasStarting(names: ReadonlySet<string>, start: string): boolean {
  return [...names].some((name) => name.startsWith(start))
}

let red: Promise<Buffer> | undefined

function redJpeg(): Promise<Buffer> {
  red ??= plainJpeg(64, 48, 'red')
  return red
}
