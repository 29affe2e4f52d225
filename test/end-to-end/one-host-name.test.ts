import { join } from 'node:path'
import { expect } from 'chai'
import { writeJsonFile } from '../../src/base/files.js'
import { type Fleet, startFleet } from '../helpers/fleet.js'

describe('two workers with one host name', function () {
  this.timeout(60_000)
  let fleet: Fleet

  before(async () => {
    fleet = await startFleet({ threads: 1 })
  })
  after(() => fleet.close())

  it('are not possible: the second refuses and the training of the first is not touched', async () => {
    const copied = join(fleet.folder, 'copied') // as when somebody clones a machine with its data folder
    await writeJsonFile(join(copied, 'host.json'), { hostId: fleet.workers[0]?.hostId })
    await fleet.order({ hyperparameters: { epochs: 30, epoch_seconds: 0.3 } })
    await fleet.until({ epoch: 1 })

    const trainerFile = fleet.trainerArgs[0] ?? ''
    const second = await fleet.run('worker', '--trainer', trainerFile, '--data', copied, '--gpus', 'none')

    expect(second.exitCode).to.equal(1)
    expect(second.output).to.match(/The host \S+ is already in the fleet \(.*\); stop that one .*\[LF_NAME_TAKEN\]/)
    expect(await fleet.starts()).to.have.lengthOf(1)
    await fleet.until({ ended: true }, 30_000)
    expect(await fleet.record()).to.include({ run: 1, outcome: 'completed' })
  })
})
