import { setTimeout as sleep } from 'node:timers/promises'
import { inspect } from 'node:util'
import { expect } from 'chai'
import type { Redis, RedisOptions } from 'ioredis'
import { RedisClient } from '../../../src/queue/redis/redis-client.js'
import { rejection } from '../../helpers/rejection.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'
import { until } from '../../helpers/until.js'
import { type OwnRedis, startOwnRedis } from '../own-redis.js'
import { type RedisFixture, startRedisFixture } from '../redis-fixture.js'
import { startRedisGate } from '../redis-gate.js'

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
    client.reconnect()

    expect(await answer).to.equal(1)
  })

  describe('to a server that refuses it', () => {
    let own: OwnRedis
    const folder = useTemporaryFolder()
    const AGAIN_MS = 300
    const write = (client: Redis) => rejection(client.set('a', SECRET)) // waits until the connection is closed

    beforeEach(async () => {
      own = await startOwnRedis(folder.path)
      await own.call('REPLICAOF', '127.0.0.1', '1')
    })
    afterEach(() => own.close())

    function connectRefused(): { readonly client: RedisClient; readonly history: string[] } {
      const { port } = new URL(own.url)
      const isReadOnly = (error: Error) => (error.message.startsWith('READONLY') ? 2 : false)
      const client = connect({
        path: '',
        port: Number(port),
        reconnectOnError: isReadOnly,
        retryStrategy: () => AGAIN_MS,
      })
      const history: string[] = []
      for (const status of ['connecting', 'ready', 'reconnecting', 'end']) client.on(status, () => history.push(status))
      return { client, history }
    }

    it('has one attempt to connect at a time, however often it is to be made again', async () => {
      const { client, history } = connectRefused()
      const refused = write(client)
      await until('it waits for its next attempt', () => client.status === 'reconnecting')

      for (let n = 0; n < 5; n += 1) client.reconnect()
      await until('it has been refused again', () => history.filter((status) => status === 'reconnecting').length > 2)

      expect(history.join(' ')).to.match(/^(connecting ready reconnecting ?)+$/)
      client.close()
      expect((await refused).message).to.contain('Connection is closed')
    })

    it('never connects again once it is closed', async () => {
      const { client, history } = connectRefused()
      const refused = write(client)
      await until('it waits for its next attempt', () => client.status === 'reconnecting')
      client.reconnect()

      client.close()
      client.reconnect()
      const connected = await rejection(client.connect())
      await sleep(2 * AGAIN_MS)

      expect((await refused).message).to.contain('Connection is closed')
      expect(connected.message).to.contain('Connection is closed')
      expect(history.slice(history.indexOf('end'))).to.deep.equal(['end'])
      expect(client.status).to.equal('end')
    })

    it('reports its end also when it is ended while it waits for its next attempt', async () => {
      const { client, history } = connectRefused()
      const refused = write(client)
      await until('it waits for its next attempt', () => client.status === 'reconnecting')

      client.disconnect() // as BullMQ does

      expect((await refused).message).to.contain('Connection is closed')
      await until('it has reported its end', () => history.at(-1) === 'end')
    })
  })

  it('rejects on closing what waits for an answer since before an attempt that was not answered', async () => {
    const gate = await startRedisGate(redis.server.url)
    stops.push(() => gate.close())
    const client = connect({ path: '', port: Number(new URL(gate.url).port), retryStrategy: () => 20 })
    await client.ping()
    const waiting = rejection(client.bzpopmin('nothing-comes', 0))
    gate.swallowNew(true)
    gate.cut()
    await until('an attempt is not answered', () => client.status === 'connect')

    client.close()

    expect((await waiting).message).to.contain('Connection is closed')
  })
})
