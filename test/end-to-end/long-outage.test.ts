import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { type Fleet, startFleet } from '../helpers/fleet.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'
import { times } from '../helpers/thorough.js'
import { until } from '../helpers/until.js'
import { type OwnRedis, startOwnRedis } from '../queue/own-redis.js'

/** One best model per epoch. */
const EPOCHS = times(60, 1000)
const EPOCH_SECONDS = 0.03
/** The last acked set, the newest, and those of which one is being written or deleted. */
const MOST_COPIES = 4
const CLOCK_TICK_SECONDS = 0.01

describe('a training whose program reports models and ends while Redis is unreachable', function () {
  this.timeout(60_000 + EPOCHS * 2_000)
  const folder = useTemporaryFolder()
  let redis: OwnRedis
  let fleet: Fleet
  beforeEach(async () => {
    redis = await startOwnRedis(folder.path)
    fleet = await startFleet({ redisUrl: redis.url, lockMs: 2_000, project: { complete: 2, inbox: 0 } })
  })
  afterEach(async () => {
    await fleet?.close()
    await redis?.close()
  })

  async function cpuSeconds(): Promise<number> {
    const text = await readFile(`/proc/${fleet.workers[0]?.pid}/stat`, 'utf8')
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return (Number(fields[11]) + Number(fields[12])) * CLOCK_TICK_SECONDS
  }

  /** How often a model of the workspace lies in the folder. */
  async function copiesIn(path: string): Promise<number> {
    const names = await readdir(path, { recursive: true }).catch(() => [])
    return names.filter((name) => name.endsWith('model.bin')).length
  }

  it('sends each point once and in order, keeps few copies meanwhile, and leaves its place soon', async () => {
    await fleet.order({ hyperparameters: { epochs: EPOCHS, epoch_seconds: EPOCH_SECONDS } })
    await fleet.until({ epoch: 2 })
    const workspace = await fleet.workspace()
    const [start] = await fleet.starts()
    const cpuBefore = await cpuSeconds()

    await redis.kill()
    await until('the program has ended', () => !existsSync(`/proc/${start?.pid}`), 30_000 + EPOCHS * 1_000)
    const copies = {
      aside: await copiesIn(join(workspace, '.set-aside')),
      models: await copiesIn(join(workspace, 'models')),
    }
    const cpuAway = await cpuSeconds()
    const backAt = performance.now()
    await redis.start()
    await fleet.until({ ended: true }, EPOCHS * 2_000)
    const seconds = (performance.now() - backAt) / 1000

    const epochs = fleet.seen().points.map(({ best_epoch }) => Number(best_epoch))
    const line = `${EPOCHS} models: caught up in ${seconds.toFixed(1)} s, worker CPU ${(cpuAway - cpuBefore).toFixed(1)} s away and ${((await cpuSeconds()) - cpuAway).toFixed(1)} s after; copies ${JSON.stringify(copies)}`
    console.log(`      ${line}`)
    expect(epochs, line).to.deep.equal([...new Set(epochs)].sort((a, b) => a - b))
    expect(epochs.at(-1), line).to.equal(EPOCHS)
    expect(fleet.seen().outcome, line).to.equal('completed')
    const curve = await fleet.journal.readCurve((await fleet.record()).id)
    expect(
      curve.map(({ epoch }) => epoch),
      line,
    ).to.deep.equal(Array.from({ length: EPOCHS }, (_, index) => index + 1))
    expect(copies.aside, line).to.be.at.most(MOST_COPIES)
    expect(copies.models, line).to.be.at.most(MOST_COPIES)
  })
})
