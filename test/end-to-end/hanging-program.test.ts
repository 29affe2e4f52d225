import { cp, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { removeTree } from '../../src/base/files.js'
import { type Fleet, startFleet } from '../helpers/fleet.js'
import { until } from '../helpers/until.js'

const QUICK = fileURLToPath(new URL('../fixtures/trainers/quick', import.meta.url))

describe('a training program that hangs', function () {
  this.timeout(90_000)
  let folder: string
  let fleet: Fleet

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'loopfleet-impatient-'))
    await cp(QUICK, folder, { recursive: true })
    const trainerFile = join(folder, 'trainer.yaml')
    await writeFile(trainerFile, `${await readFile(trainerFile, 'utf8')}\nsign_of_life_minutes: 0.1\n`)
    fleet = await startFleet({ trainerFile, threads: 1 })
  })
  after(async () => {
    await fleet?.close().finally(() => removeTree(folder))
  })

  it('is ended after its time without a sign of life, and goes on from its checkpoint', async () => {
    await fleet.order({ hyperparameters: { epochs: 5, hang_at_epoch: 2 } })
    const told = () => fleet.seen().errors.run_training?.includes('no sign of life for 0.1 minutes')
    await until('the Loop is told', told, 40_000)
    await until('it trains again', async () => (await fleet.starts()).length === 2, 30_000)
    const starts = await fleet.starts()
    await fleet.until({ ended: true }, 40_000)

    expect(starts[1]).to.include({ resume: true, first_epoch: 3 })
    expect(fleet.seen()).to.deep.include({ outcome: 'completed', errors: {} })
    expect(await fleet.programs()).to.deep.equal([])
  })
})
