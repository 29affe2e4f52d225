import { expect } from 'chai'
import type { Redis } from 'ioredis'
import { type RedisFixture, startRedisFixture } from './redis-fixture.js'

const ECHO = { numberOfKeys: 1, lua: "return KEYS[1] .. ' ' .. ARGV[1]" }

describe('connections of one process', () => {
  let redis: RedisFixture
  before(async () => {
    redis = await startRedisFixture()
  })
  after(() => redis.close())

  it('share the scripts that are defined on each of them', async () => {
    const connections = [redis.link.client, redis.link.duplicate(), redis.link.duplicate()]
    for (const one of connections) one.defineCommand('echo:1', ECHO)

    for (const one of connections) {
      expect(one).not.to.have.ownProperty('echo:1')
      expect(await called(one)).to.equal('k v')
    }
  })

  it('send a script again to a server that has forgotten it', async () => {
    const copy = redis.link.duplicate()
    copy.defineCommand('echo:1', ECHO)
    await called(copy)
    await redis.link.client.script('FLUSH')

    expect(await called(copy)).to.equal('k v')
    expect(await called(redis.link.client)).to.equal('k v')
  })

  it('know them in a transaction, too', async () => {
    const { client } = redis.link
    client.defineCommand('echo:1', ECHO)
    const multi = client.multi()
    await Reflect.get(multi, 'echo:1').call(multi, 'k', 'v')

    expect(await multi.exec()).to.deep.equal([[null, 'k v']])
  })

  it('refuse another script under a name that is taken', () => {
    redis.link.client.defineCommand('echo:1', ECHO)

    expect(() => redis.link.client.defineCommand('echo:1', { ...ECHO, lua: 'return 1' })).to.throw('echo:1')
  })

  async function called(connection: Redis): Promise<unknown> {
    return await Reflect.get(connection, 'echo:1').call(connection, 'k', 'v')
  }
})
