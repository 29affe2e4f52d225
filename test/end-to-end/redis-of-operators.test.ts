import { readFile } from 'node:fs/promises'
import { expect } from 'chai'
import { REDIS_RULE } from '../../src/queue/redis-basics/redis-errors.js'
import { type Fleet, startFleet } from '../helpers/fleet.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'
import { isThorough } from '../helpers/thorough.js'
import { until } from '../helpers/until.js'
import { type OwnRedis, startOwnRedis, startVirtualAddress } from '../queue/own-redis.js'
import { REFUSALS } from '../queue/refusals.js'

const SOME_SECONDS = { epochs: 80, epoch_seconds: 0.1 }

describe('a training with a Redis of an operator', function () {
  this.timeout(120_000)
  const folder = useTemporaryFolder()
  const stops: (() => Promise<unknown>)[] = []
  afterEach(async () => {
    for (const stop of stops.splice(0).reverse()) await stop()
  })

  async function aRedis(...settings: string[]): Promise<OwnRedis> {
    const redis = await startOwnRedis(folder.path, ...settings)
    stops.push(() => redis.close())
    return redis
  }

  async function aFleet(redisUrl: string): Promise<Fleet> {
    const fleet = await startFleet({ redisUrl, lockMs: 2_000, threads: 1 })
    stops.push(() => fleet.close())
    return fleet
  }

  it('is completed by a user that is allowed no more than documented', async () => {
    const page = await readFile(new URL('../../../docs/reference/redis.md', import.meta.url), 'utf8')
    const redis = await aRedis()
    await redis.call('ACL', 'SETUSER', 'fleet', 'on', '>secret', ...REDIS_RULE.split(' '))
    const fleet = await aFleet(redis.url.replace('//', '//fleet:secret@'))

    await fleet.order({ hyperparameters: { epochs: 5 } })
    await fleet.until({ ended: true })
    const shown = await fleet.run('status')

    expect(page).to.contain(REDIS_RULE)
    expect(fleet.seen()).to.include({ outcome: 'completed' })
    expect(shown.exitCode).to.equal(0)
    const denied = (await redis.call('ACL', 'LOG')) as string[][]
    expect(denied.map((entry) => entry[7])).to.deep.equal(denied.map(() => 'config|get')) // only for a warning
  })

  it('goes on in the same program after a failover behind one address', async () => {
    const [first, second] = [await aRedis(), await aRedis()]
    await second.call('REPLICAOF', '127.0.0.1', String(first.port))
    await until('the replica follows', async () => String(await second.call('INFO', 'replication')).includes(':up'))
    const address = await startVirtualAddress(first.port)
    stops.push(() => address.close())
    const fleet = await aFleet(address.url)
    await fleet.order({ hyperparameters: SOME_SECONDS })
    await fleet.until({ epoch: 3 })

    await second.call('REPLICAOF', 'NO', 'ONE')
    await first.call('REPLICAOF', '127.0.0.1', String(second.port))
    address.move(second.port)
    const epoch = (await fleet.record()).best?.epoch ?? 0
    await fleet.until({ epoch: epoch + 5 }, 10_000)
    const starts = await fleet.starts()
    await fleet.until({ ended: true }, 60_000)

    expect(starts).to.have.lengthOf(1)
    expect(await fleet.record()).to.include({ run: 1, outcome: 'completed' })
  })

  it('is shown by status and trainings while Redis rejects writes', async () => {
    const redis = await aRedis()
    const fleet = await aFleet(redis.url)
    await fleet.order({ hyperparameters: SOME_SECONDS })
    await fleet.until({ epoch: 3 })
    const { id } = await fleet.record()

    // One that is refused, one that waits, and one that names the user; all of them for a connection: test/queue/redis/write-state.test.ts.
    const reasons = isThorough ? Object.keys(REFUSALS) : ['read-only', 'withholding them', 'short of rights']
    for (const { code, begin, end } of reasons.flatMap((reason) => REFUSALS[reason] ?? [])) {
      await begin(redis)
      const json = await fleet.run('status', '--json')
      const stop = await fleet.run('trainings', 'stop', id)
      if (isThorough || code === 'READONLY') await expectShown(fleet, id, redis.url) // the tables read the same for every reason
      await end(redis)

      expect(JSON.parse(json.output).redis).to.include({ takesWrites: false, code })
      expect(stop.exitCode).to.equal(1)
      expect(stop.output).to.match(/does not take writes|takes no writes|forbids its user/)
    }
    await fleet.abort()
    await fleet.until({ ended: true }, 30_000)
  })

  async function expectShown(fleet: Fleet, id: string, url: string): Promise<void> {
    const status = await fleet.run('status')
    const trainings = await fleet.run('trainings')
    const hosts = await fleet.run('hosts')

    expect([status.exitCode, trainings.exitCode], status.output).to.deep.equal([0, 0])
    expect(status.output).to.contain(`${fleet.id}-a`)
    expect(trainings.output).to.contain(id)
    for (const { output } of [status, trainings, hosts]) expect(output).to.contain(`Redis at ${url} takes no writes`)
  }
})
