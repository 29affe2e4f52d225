import { readFile } from 'node:fs/promises'
import { expect } from 'chai'
import { listProcesses } from '../../src/process/proc.js'
import { type Fleet, startFleet } from '../helpers/fleet.js'

const PASSWORD = 'pass-of-the-loop'

describe('a training program', function () {
  this.timeout(90_000)
  let fleet: Fleet
  before(async () => {
    fleet = await startFleet({
      login: { username: 'lab', password: PASSWORD },
      env: { LOOPFLEET_DASHBOARD_TOKEN: 'token-of-the-dashboard', WANDB_API_KEY: 'key-of-somebody' },
    })
  })
  after(async () => fleet?.close())

  it('finds no secret in its environment, nor in those of its guard, its parent and all above them', async () => {
    await fleet.order({ hyperparameters: { epochs: 30, epoch_seconds: 0.2 } })
    await fleet.until({ epoch: 1 })
    const [program] = await fleet.starts()
    const pid = program?.pid ?? 0
    const all = await listProcesses()
    const parentOf = (child: number) => all.find((one) => one.pid === child)?.parentPid ?? 0
    const guards = await pidsWith(all, `guard.sh\0watch\0${pid}\0`)

    const pids = [pid, ...guards, parentOf(pid), parentOf(parentOf(pid))]
    const environments = await Promise.all(pids.map((one) => readFile(`/proc/${one}/environ`, 'latin1')))

    expect(guards).to.have.lengthOf(1)
    for (const text of environments) {
      expect(text).to.not.match(/pass-of-the-loop|token-of-the-dashboard|key-of-somebody|LOOP_PASSWORD|REDIS_URL/)
    }
  })
})

async function pidsWith(all: readonly { readonly pid: number }[], words: string): Promise<number[]> {
  const found = all.map(async ({ pid }) => {
    const command = await readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '') // it has ended
    return command.includes(words) ? [pid] : []
  })
  return (await Promise.all(found)).flat()
}
