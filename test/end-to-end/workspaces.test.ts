import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { type Fleet, startFleet } from '../helpers/fleet.js'
import { makeUndeletable } from '../helpers/undeletable.js'
import { until } from '../helpers/until.js'

describe('the workspaces of ended trainings', function () {
  this.timeout(90_000)
  let fleet: Fleet

  /** Orders a training, waits for its end, and answers its workspace. */
  async function train(of: Fleet, hyperparameters: Record<string, unknown>): Promise<string> {
    await of.order({ hyperparameters })
    await of.until({ ended: true }, 40_000)
    return of.workspace()
  }
  const gone = (path: string) => until(`${path} is cleared`, () => !existsSync(path))

  describe('by default', () => {
    before(async () => {
      fleet = await startFleet({ threads: 1 })
    })
    after(async () => fleet?.close())

    it('go when the next one begins, but a failed one waits for its retry', async () => {
      const failed = await train(fleet, { epochs: 1, without_model: true })
      const first = await train(fleet, { epochs: 1 })
      expect(existsSync(first)).to.equal(true)

      const second = await train(fleet, { epochs: 1 })

      await gone(first)
      expect(existsSync(second)).to.equal(true)
      expect(existsSync(failed)).to.equal(true)
    })

    it('keep no seat busy when a file in them cannot be deleted', async () => {
      await fleet.order({ hyperparameters: { epochs: 30, epoch_seconds: 0.1 } })
      await fleet.until({ epoch: 1 })
      const stuck = await makeUndeletable(join(await fleet.workspace(), 'litter'))

      try {
        await fleet.until({ ended: true }, 40_000)

        expect(fleet.seen().outcome).to.equal('completed')
        expect(await fleet.workers[0]?.log())
          .to.contain('files not deleted')
          .and.contain('ENAMETOOLONG')
        await train(fleet, { epochs: 1 })
        expect(fleet.seen().outcome).to.equal('completed')
      } finally {
        await stuck.release()
      }
    })

    it('go when the host comes back after a training that was aborted meanwhile', async () => {
      await fleet.order({ hyperparameters: { epochs: 500, epoch_seconds: 0.1 } })
      await fleet.until({ epoch: 1 })
      const workspace = await fleet.workspace()
      await fleet.killWorker('SIGTERM')

      await fleet.abort()
      await fleet.until({ ended: true })
      expect(existsSync(workspace)).to.equal(true)
      await fleet.startWorker()

      await gone(workspace)
      expect(fleet.seen().outcome).not.to.equal('completed')
    })
  })

  describe('by settings', () => {
    before(async () => {
      fleet = await startFleet({ threads: 1, env: { KEEP_OLD_TRAININGS: '1', LOOPFLEET_KEEP_FAILED_DAYS: '0' } })
    })
    after(async () => fleet?.close())

    it('stay with KEEP_OLD_TRAININGS, within LOOPFLEET_KEEP_FAILED_DAYS', async () => {
      const failed = await train(fleet, { epochs: 1, without_model: true })
      const first = await train(fleet, { epochs: 1 })

      await train(fleet, { epochs: 1 })

      await gone(failed)
      expect(existsSync(first)).to.equal(true)
    })
  })
})
