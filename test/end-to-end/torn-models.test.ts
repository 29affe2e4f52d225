import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { unzipChecked } from '../../src/base/archives/unzip.js'
import { removeTree } from '../../src/base/files.js'
import { paths } from '../../src/loop/protocol/index.js'
import { type Fleet, startFleet } from '../helpers/fleet.js'
import { createRandom, seedOf, upTo } from '../helpers/random.js'
import { times } from '../helpers/thorough.js'
import { until } from '../helpers/until.js'

const trainerFile = fileURLToPath(new URL('../fixtures/trainers/tears/trainer.yaml', import.meta.url))
/** How many runs of each way of ending. */
const RUNS = times(1, 20)
const SEED = Number(process.env.LOOPFLEET_TEST_SEED ?? Date.now() % 1_000_000)
/** The first model has 26,667 bytes of weights, so that the second one is smaller or larger. */
const BYTES = { least: 5_000, most: 60_000 }

describe('a script that is ended while it overwrites its best model', function () {
  this.timeout(60_000 + RUNS * 60_000)
  let fleet: Fleet
  before(async () => {
    fleet = await startFleet({ trainerFile, project: { complete: 2, inbox: 0, box_categories: 1 } })
    await mkdir(join(fleet.folder, 'kept'))
  })
  after(async () => fleet?.close())

  /** What the Loop gives to somebody who downloads the latest model. */
  async function downloaded(): Promise<Buffer> {
    const id = fleet.seen().models[0]?.id ?? ''
    const path = paths.modelFile(fleet.organization, fleet.project, id, 'weights')
    const answer = await fetch(`http://${fleet.loop.host}/api${path}`)
    const [zip, folder] = [join(fleet.folder, 'model.zip'), join(fleet.folder, 'unpacked')]
    await writeFile(zip, Buffer.from(await answer.arrayBuffer()))
    await removeTree(folder)
    await unzipChecked(zip, folder)
    return await readFile(join(folder, 'model.pt'))
  }

  async function isTorn(): Promise<boolean> {
    const log = await readFile(join(await fleet.workspace(), 'last_training.log'), 'utf8').catch(() => '')
    return log.includes('torn')
  }

  for (const ending of ['stop', 'exit', 'kill'] as const) {
    it(`has its last whole model uploaded after ${ending}: ${RUNS} runs of seed ${SEED}`, async () => {
      for (let index = 0; index < RUNS; index += 1) {
        const random = createRandom(seedOf(SEED, ending, String(index)))
        const seed = upTo(1e6, random)
        const bytes = BYTES.least + upTo(BYTES.most, random)
        const tear = 1 + upTo(bytes, random)
        const how = upTo(1, random) === 0 ? 'cut' : 'over'
        const keep_in = join(fleet.folder, 'kept')
        await fleet.order({ hyperparameters: { seed, bytes, tear_at: tear, how, ending, keep_in } })
        if (ending === 'stop') {
          await until('the second model is torn', isTorn, 40_000)
          await fleet.stop()
        }
        await fleet.until({ ended: true }, 50_000)

        const what = `run ${index} of seed ${SEED}: ${ending}, ${how}, torn at byte ${tear} of more than ${bytes}`
        const whole = await readFile(join(keep_in, `${seed}.pt`))
        expect(fleet.seen().outcome, what).to.equal('completed')
        expect((await downloaded()).equals(whole), what).to.equal(true)
      }
      console.log(`      seed ${SEED}: ${RUNS} × ${ending}, all uploaded bytes are those of the whole model`)
    })
  }
})
