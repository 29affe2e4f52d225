import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { type CliProcess, startCli } from '../helpers/cli-process.js'
import { converterFile } from '../helpers/converter-fleet.js'
import { type Fleet, startFleet } from '../helpers/fleet.js'
import { FLEET_VARIABLE } from '../helpers/fleet-processes.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'
import { isThorough } from '../helpers/thorough.js'
import { beginLongScript } from '../queue/busy-redis.js'
import { type OwnRedis, startOwnRedis } from '../queue/own-redis.js'
import { REFUSALS } from '../queue/refusals.js'

const STATES: Readonly<Record<string, (redis: OwnRedis) => Promise<unknown>>> = {
  stopped: async (redis) => redis.signal('SIGSTOP'),
  killed: (redis) => redis.kill(),
  'busy with a long script': beginLongScript,
  'read-only for longer than connections are checked': async (redis) => {
    await REFUSALS['read-only']?.begin(redis)
    await sleep(16_000) // three checks
  },
  ...(isThorough && Object.fromEntries(Object.entries(REFUSALS).map(([state, { begin }]) => [state, begin]))),
}

describe('parts that are asked to end while Redis is', function () {
  this.timeout(90_000)
  const folder = useTemporaryFolder()
  const stops: (() => Promise<unknown>)[] = []
  afterEach(async () => {
    for (const stop of stops.splice(0).reverse()) await stop()
  })

  async function aFleetThatTrains(): Promise<{ redis: OwnRedis; fleet: Fleet; parts: CliProcess[] }> {
    const redis = await startOwnRedis(folder.path)
    stops.push(() => redis.close())
    const fleet = await startFleet({ redisUrl: redis.url, lockMs: 2_000 })
    stops.push(() => fleet.close())
    const start = (...args: [string, ...string[]]) =>
      startCli({
        args,
        env: {
          PATH: process.env.PATH ?? '',
          [FLEET_VARIABLE]: fleet.id,
          REDIS_URL: redis.url,
          LOOP_HOST: fleet.loop.host,
          DATA_FOLDER: join(folder.path, args[0]),
        },
        logFile: join(folder.path, `${args[0]}-${redis.port}.log`),
      })
    const parts = await Promise.all([
      start('converter', converterFile('follows-orders')),
      start('dashboard', '--port', '0'),
    ])
    await fleet.order({ hyperparameters: { epochs: 10_000, epoch_seconds: 0.5 } })
    await fleet.until({ epoch: 3 })
    return { redis, fleet, parts: [...fleet.workers, fleet.trainer, ...parts] }
  }

  for (const [state, begin] of Object.entries(STATES)) {
    it(`${state} end in order, with code 0 and within 9 s`, async () => {
      const { redis, fleet, parts } = await aFleetThatTrains()

      await begin(redis)
      const ends = await Promise.all(parts.map(async (part) => ({ name: part.name, ...(await part.end()) })))

      expect(ends.map(({ name, exitCode, signal }) => ({ name, exitCode, signal }))).to.deep.equal(
        parts.map(({ name }) => ({ name, exitCode: 0, signal: null })),
      )
      const [worker, trainer] = await Promise.all(parts.map((part) => part.log()))
      expect(worker).to.contain('worker stopped')
      expect(alarmsOf(worker ?? '')).to.deep.equal([])
      expect(trainer).to.contain('trainer node stopped')
      expect(await fleet.programs()).to.deep.equal([])
    })
  }
})

/** Warnings and errors about nothing but the end of the connection, which is what was asked for. */
function alarmsOf(log: string): string[] {
  const lines = log.split('\n').filter((line) => /"level":[456]0/.test(line) && line.includes('Connection is closed'))
  return lines.map((line) => JSON.parse(line).msg)
}
