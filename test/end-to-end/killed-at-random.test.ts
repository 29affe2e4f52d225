import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { type Fleet, startFleet } from '../helpers/fleet.js'
import { createRandom } from '../helpers/random.js'
import { times } from '../helpers/thorough.js'
import { until } from '../helpers/until.js'

const TRAININGS = times(2, 100)
const SEED = 20261122
const LONGEST_WAIT_MS = 1500

describe('worker, trainer node and Redis killed at random moments', function () {
  this.timeout(60_000 + TRAININGS * 30_000)
  let fleet: Fleet

  before(async () => {
    fleet = await startFleet()
  })
  after(async () => fleet?.close())

  it('leave every training with one model and every detection once in the state of the Loop', async () => {
    const random = createRandom(SEED)
    for (let training = 0; training < TRAININGS; training += 1) {
      await fleet.order({ hyperparameters: { epochs: 8, epoch_seconds: 0.05 } })
      for (let kill = 0; kill < 2; kill += 1) {
        await sleep(random() * LONGEST_WAIT_MS) // the moment is the point of the test
        await killSomebody(random())
      }
      await fleet.until({ ended: true })

      expect(fleet.seen()).to.deep.include({ outcome: 'completed', errors: {} })
      expect(fleet.seen().models).to.have.lengthOf(1)
      expect(fleet.seen().models[0]?.formats).to.have.members(['mocked', 'mocked_converted'])
      expect(Object.keys(fleet.detectionCounts())).to.have.lengthOf(10)
      expect(await fleet.programs()).to.deep.equal([])
    }
  })

  async function killSomebody(choice: number): Promise<void> {
    if (choice < 0.6) {
      await fleet.killWorker('SIGKILL')
      await fleet.startWorker()
    } else if (choice < 0.8) {
      await fleet.trainer.kill('SIGKILL')
      await fleet.startTrainer()
    } else {
      const { pid } = fleet.redis
      process.kill(pid, 'SIGKILL')
      await until('Redis is back', () => fleet.redis.pid !== pid)
    }
  }
})
