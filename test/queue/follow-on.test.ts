import { expect } from 'chai'
import { createLogger } from '../../src/base/logger/logger.js'
import { createQueues } from '../../src/queue/jobs/queues.js'
import { openRedis } from '../../src/queue/redis/open-redis.js'
import { levelOf } from '../../src/queue/redis-basics/redis-refusals.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'
import { until } from '../helpers/until.js'
import { startOwnRedis } from './own-redis.js'
import { REFUSALS } from './refusals.js'

const QUEUES = ['a', 'b', 'c']

describe('what follows from a known outage of Redis', function () {
  this.timeout(40_000)
  const folder = useTemporaryFolder()
  const stops: (() => unknown)[] = []
  afterEach(async () => {
    for (const stop of stops.splice(0).reverse()) await stop()
  })

  async function open() {
    let text = ''
    const log = createLogger({ destination: { write: (line: string) => (text += line) } })
    const redis = await startOwnRedis(folder.path)
    stops.push(() => redis.close())
    const link = await openRedis(redis.url, { log })
    stops.push(() => link.close())
    const queues = createQueues(link, { log })
    stops.push(() => queues.close())
    for (const name of QUEUES) await queues.repeat(name, 'x', {}, { id: name, everyMs: 60_000 })
    text = ''
    return { redis, queues, link, lines: () => text.split('\n').filter((line) => line !== '') }
  }

  for (const state of ['full', 'without replicas', 'short of rights']) {
    it(`is no news for each queue when Redis is ${state}, and is made up for afterwards`, async () => {
      const { begin, end } = REFUSALS[state] ?? expect.fail()
      const { redis, queues, link, lines } = await open()
      await redis.call('DEL', '{loopfleet}:queues')
      await begin(redis)

      await redis.call('CLIENT', 'KILL', 'TYPE', 'normal')
      await until('the cause is logged', () => lines().some((line) => line.includes('takes no writes')))
      await until('it is connected', () => link.client.status === 'ready')
      await end(redis)
      await until('all are listed again', async () => (await queues.names()).length === QUEUES.length)
      await until('it is over', () => lines().some((line) => line.includes('takes writes again')))

      const others = lines().filter((line) => !line.includes('"component":"redis"'))
      expect(others).to.deep.equal([])
      expect(lines().filter((line) => line.includes('takes no writes'))).to.have.lengthOf(1)
    })
  }

  it('is told from other errors', () => {
    expect(levelOf(new Error("OOM command not allowed when used memory > 'maxmemory'."))).to.equal('debug')
    expect(levelOf(new Error('Connection is closed.'))).to.equal('debug')
    expect(levelOf(new Error('WRONGTYPE Operation against a key'))).to.equal('warn')
  })
})
