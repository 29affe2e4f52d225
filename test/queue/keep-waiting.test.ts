import { expect } from 'chai'
import { silentLogger } from '../../src/base/logger/logger.js'
import { openRedis, type RedisLink } from '../../src/queue/redis/open-redis.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'
import { until } from '../helpers/until.js'
import { type OwnRedis, startOwnRedis } from './own-redis.js'

const log = silentLogger()

describe('commands wait while connections are refused', function () {
  this.timeout(30_000)
  const folder = useTemporaryFolder()
  let redis: OwnRedis
  let link: RedisLink

  beforeEach(async () => {
    redis = await startOwnRedis(folder.path)
    await redis.call('ACL', 'SETUSER', 'fleet', 'on', '>secret', '~*', '&*', '+@all')
    link = await openRedis(redis.url.replace('//', '//fleet:secret@'), { log })
  })
  afterEach(async () => {
    await link.close()
    await redis.close()
  })

  for (const [reason, begin, end] of [
    ['for a changed password', ['resetpass', '>other'], ['>secret']],
    ['since their user is off', ['off'], ['on']],
    ['since their user was deleted and is created again', ['reset'], ['on', '>secret', '~*', '&*', '+@all']],
  ] as const) {
    it(reason, async () => {
      const errors: string[] = []
      link.client.on('error', (error) => errors.push(error.message))
      const ofBullMq = link.duplicate()
      await until('it is ready', () => ofBullMq.status === 'ready')

      await redis.call('ACL', 'SETUSER', 'fleet', ...begin)
      await redis.call('CLIENT', 'KILL', 'USER', 'fleet')
      await until('it is not ready', () => link.client.status !== 'ready')
      const answers = Promise.all([link.client.incr('a'), ofBullMq.incr('b')])
      await until('it is refused', () => errors.some((text) => text.startsWith('WRONGPASS')))
      await redis.call('ACL', 'SETUSER', 'fleet', ...end)

      expect(await answers).to.deep.equal([1, 1])
    })
  }
})
