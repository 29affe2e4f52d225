import { expect } from 'chai'
import { takeBackJob } from '../../src/queue/held-jobs.js'
import { type RedisFixture, startRedisFixture } from './redis-fixture.js'

describe('a job whose lock has run out while its holder works on it', () => {
  let redis: RedisFixture
  before(async () => {
    redis = await startRedisFixture()
  })
  after(() => redis.close())
  beforeEach(() => redis.link.client.flushall())

  const base = () => `${redis.link.prefix}:held:`
  const held = { id: 'a', token: 'worker-1:3', begun: 1, tokenStart: 'worker-1:' }
  const takeBack = async () => (await takeBackJob(redis.link, 'held', held, 5000)).outcome

  /** The job as BullMQ leaves it: begun so often, active, locked or not. */
  async function job({ begun = 1, lock }: { readonly begun?: number; readonly lock?: string }): Promise<void> {
    await redis.link.client.hset(`${base()}a`, { ats: String(begun) })
    await redis.link.client.lpush(`${base()}active`, 'a')
    if (lock !== undefined) await redis.link.client.set(`${base()}a:lock`, lock)
  }

  it('is taken back when nobody has taken it', async () => {
    await job({})

    expect(await takeBack()).to.equal('held')
    expect(await redis.link.client.get(`${base()}a:lock`)).to.equal('worker-1:3')
  })

  it('is lost when somebody else has it', async () => {
    await job({ begun: 2, lock: 'worker-2:1' })

    expect(await takeBack()).to.equal('elsewhere')
    expect(await redis.link.client.get(`${base()}a:lock`)).to.equal('worker-2:1')
  })

  it('is lost when somebody else has begun it, and lost it again', async () => {
    await job({ begun: 2 })

    expect(await takeBack()).to.equal('elsewhere')
  })

  it('is missing when Redis does not know it, and is not made there', async () => {
    expect(await takeBack()).to.equal('missing')
    expect(await redis.link.client.keys('*')).to.deep.equal([])
  })

  it('is taken back from a Redis that has not seen it begin', async () => {
    await redis.link.client.hset(`${base()}a`, { name: 'x' })
    await redis.link.client.lpush(`${base()}wait`, 'a')

    expect(await takeBack()).to.equal('held')
    expect(await redis.link.client.lrange(`${base()}active`, 0, -1)).to.deep.equal(['a'])
    expect(await redis.link.client.llen(`${base()}wait`)).to.equal(0)
  })

  it('is not lost when the holder itself has just been given it anew, and keeps that lock', async () => {
    await job({ begun: 2, lock: 'worker-1:4' })

    expect(await takeBack()).to.equal('held')
    expect(await redis.link.client.get(`${base()}a:lock`)).to.equal('worker-1:4')
  })
})
