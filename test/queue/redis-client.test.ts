import { inspect } from 'node:util'
import { expect } from 'chai'
import type { Redis, RedisOptions } from 'ioredis'
import { RedisClient } from '../../src/queue/redis-client.js'
import { rejection } from '../helpers/rejection.js'
import { until } from '../helpers/until.js'
import { type RedisFixture, startRedisFixture } from './redis-fixture.js'
import { startRedisGate } from './redis-gate.js'

const SECRET = 'hush-hush'

describe('a connection to Redis', () => {
  let redis: RedisFixture
  before(async () => {
    redis = await startRedisFixture()
  })
  after(() => redis.close())

  const stops: (() => unknown)[] = []
  afterEach(async () => {
    for (const stop of stops.splice(0).reverse()) await stop()
  })

  function connect(options: Omit<RedisOptions, 'replyMapping'> = {}): RedisClient {
    const client = new RedisClient({ path: redis.server.url.replace('unix://', ''), ...options })
    client.on('error', () => undefined)
    stops.push(() => client.disconnect())
    return client
  }

  describe('carries no arguments on its errors', () => {
    for (const [what, refuse] of [
      ['of a command', (client) => client.call('SET', 'a', SECRET, 'rubbish')],
      ['of a script', (client) => client.eval(`return redis.call('SET', KEYS[1], ARGV[1], 'rubbish')`, 1, 'a', SECRET)],
      ['of a script by its hash', (client) => client.evalsha('0'.repeat(40), 1, 'a', SECRET)],
      ['of a transaction', (client) => client.multi().call('GET', 'a', SECRET).exec()],
      [
        'in the answers of a pipeline',
        async (client) => {
          const [answer] =
            (await client.pipeline().lpush('list', SECRET).hset('list', SECRET, 1).exec())?.slice(1) ?? []
          throw answer?.[0] ?? new Error('it was not refused')
        },
      ],
      ['of a login', (client) => client.call('AUTH', 'nobody', SECRET)],
    ] as const satisfies [string, (client: Redis) => Promise<unknown>][]) {
      it(what, async () => {
        const error = await rejection(refuse(connect()))

        expect(inspect(error, { depth: 9, showHidden: true })).not.to.contain(SECRET)
      })
    }

    it('of a transaction whose answer breaks off', async () => {
      const gate = await startRedisGate(redis.server.url, (answer) => {
        const text = answer.toString('latin1')
        if (!text.includes('QUEUED')) return answer
        setImmediate(() => gate.cut())
        return Buffer.from(text.slice(0, text.indexOf('QUEUED') + 8), 'latin1')
      })
      stops.push(() => gate.close())
      const { port } = new URL(gate.url)
      const client = new RedisClient({ port: Number(port), retryStrategy: () => 20 })
      client.on('error', () => undefined)
      stops.push(() => client.disconnect())

      const error = await rejection(client.multi().set('a', SECRET).set('b', SECRET).exec())

      expect(error.message).to.contain('aborted')
      expect(inspect(error, { depth: 9, showHidden: true })).not.to.contain(SECRET)
    })
  })

  it('reports a refused command that nobody handles, as every promise does', async () => {
    const client = connect()
    await client.ping()
    const seen: string[] = []
    const others = process.listeners('unhandledRejection')
    process.removeAllListeners('unhandledRejection')
    process.on('unhandledRejection', (error) => seen.push(String(error)))
    stops.push(() => {
      process.removeAllListeners('unhandledRejection')
      for (const listener of others) process.on('unhandledRejection', listener)
    })

    void client.call('SET', 'a')

    await until('it is reported', () => seen.length > 0)
    expect(seen.join()).to.contain('wrong number of arguments')
  })

  it('is ended once by many refusals, and carries their commands out afterwards', async () => {
    let refusals = 0
    const client = connect({ reconnectOnError: () => (refusals++ < 40 ? 2 : false), retryStrategy: () => 10 })
    await client.ping()
    const { stream } = client
    const listenersBefore = stream.listenerCount('close')
    let ends = 0
    client.on('close', () => ends++)

    const answers = Promise.allSettled(Array.from({ length: 40 }, () => client.call('SET', 'a')))
    await until('all are refused', () => refusals >= 40)
    const listenersAfter = stream.listenerCount('close')

    expect((await answers).every(({ status }) => status === 'rejected')).to.equal(true)
    expect(listenersAfter - listenersBefore).to.be.at.most(1)
    expect(ends).to.equal(1)
  })

  it('makes copies of its own kind, which connect by themselves, and reports them', async () => {
    const client = connect({ lazyConnect: true })
    const copies: unknown[] = []
    client.on('duplicate', (copy) => copies.push(copy))

    const copy = client.duplicate({ connectionName: 'copy' })
    stops.push(() => copy.disconnect())

    expect(copy).to.be.instanceOf(RedisClient)
    expect(copies).to.deep.equal([copy])
    expect(copy.options.connectionName).to.equal('copy')
    await until('it is ready', () => copy.status === 'ready')
    expect(client.status).to.equal('wait')
  })

  it('that has missed the end of its stream is made again', async () => {
    const client = connect()
    await client.ping()
    client.stream.removeAllListeners('close')
    client.stream.destroy()

    const answer = client.incr('missed')
    client.reconnect('a test')

    expect(await answer).to.equal(1)
  })
})
