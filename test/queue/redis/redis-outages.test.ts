import { mkdir, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { execa } from 'execa'
import { Redis } from 'ioredis'
import { createLogger, silentLogger } from '../../../src/base/logger/logger.js'
import { startRedisServer } from '../../../src/queue/embedded-redis/redis-server.js'
import { luaScript } from '../../../src/queue/redis/lua-script.js'
import { openRedis, type RedisLink } from '../../../src/queue/redis/open-redis.js'
import { createProbe } from '../../../src/queue/redis/probe.js'
import { RedisClient } from '../../../src/queue/redis/redis-client.js'
import { rejection } from '../../helpers/rejection.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'
import { until } from '../../helpers/until.js'
import { beginLongScript, endLongScript } from '../busy-redis.js'
import { type OwnRedis, startOwnRedis, startVirtualAddress } from '../own-redis.js'

const INCREASE = luaScript("return redis.call('INCR', KEYS[1])")

describe('an outage of Redis', function () {
  this.timeout(40_000)
  const folder = useTemporaryFolder()
  const stops: (() => unknown)[] = []
  afterEach(async () => {
    for (const stop of stops.splice(0).reverse()) await stop()
  })

  async function aRedis(): Promise<OwnRedis> {
    const redis = await startOwnRedis(folder.path)
    stops.push(() => redis.close())
    return redis
  }

  async function aFullRedis(): Promise<OwnRedis> {
    const redis = await aRedis()
    const only = new Redis(redis.port, '127.0.0.1')
    stops.push(() => only.disconnect())
    await only.config('SET', 'maxclients', '1')
    return redis
  }

  async function open(
    url: string,
    lookMs?: number,
    connectTimeoutMs?: number,
  ): Promise<{ link: RedisLink; lines: () => string[] }> {
    let text = ''
    const log = createLogger({ destination: { write: (line: string) => (text += line) } })
    const options = {
      ...(lookMs !== undefined && { lookMs }),
      ...(connectTimeoutMs !== undefined && { connectTimeoutMs }),
    }
    const link = await openRedis(url, { log }, options)
    stops.push(() => link.close())
    text = '' // without warnings about its settings
    const lines = () => text.split('\n').filter((line) => line.includes('"msg":"Redis ') || line.includes('silent'))
    return { link, lines }
  }

  it('is logged once with each of its causes, and is over once', async () => {
    const [redis, locked, full] = [await aRedis(), await aRedis(), await aFullRedis()]
    await locked.call('CONFIG', 'SET', 'requirepass', 'another')
    const address = await startVirtualAddress(redis.port)
    stops.push(() => address.close())
    const { link, lines } = await open(address.url)

    await redis.kill()
    await until('it is logged', () => lines().length > 0)
    expect(link.problem()).to.match(/^Redis is unreachable: .+\.$/)
    address.move(locked.port)
    await until('the login is logged', () => lines().length > 1)
    expect(link.problem()).to.match(/^Redis refuses the login: NOAUTH/)
    address.move(full.port)
    await until('too many clients are logged', () => lines().length > 2)
    expect(link.problem()).to.equal('Redis refuses connections: ERR max number of clients reached.')
    await redis.start()
    address.move(redis.port)
    await until('it is over', () => lines().length > 3)

    const [first, second, third, last, ...others] = lines()
    expect(first).to.contain('Redis unreachable; waiting for it')
    expect(second).to.contain('Redis refuses the login; waiting for it').and.contain('NOAUTH')
    expect(third).to.contain('Redis refuses connections; waiting for it').and.contain('max number of clients')
    expect(last).to.contain('Redis reconnected')
    expect(others).to.deep.equal([])
    expect(link.problem()).to.equal(undefined)
  })

  it('that is there when a part starts is named as Redis names it', async () => {
    const redis = await aFullRedis()

    const error = await rejection(openRedis(redis.url, { log: silentLogger() }, { connectTimeoutMs: 500 }))

    expect(error.message).to.contain('refuses connections: ERR max number of clients reached')
  })

  it('with connections that stay open and are not answered is logged once, and once when it is over', async () => {
    const redis = await aRedis()
    const { link, lines } = await open(redis.url, 500)
    await Promise.all([link.duplicate().ping(), link.duplicate().ping()])

    redis.signal('SIGSTOP')
    const begunAt = performance.now()
    const checked = await link.check()
    const checkMs = performance.now() - begunAt
    await until('it is logged', () => lines().length > 0)
    await new Promise((resolve) => setTimeout(resolve, 5_000)) // all have been checked three times
    const problem = link.problem()
    redis.signal('SIGCONT')
    await until('it is over', () => lines().length > 1)
    await new Promise((resolve) => setTimeout(resolve, 2_000))

    expect([checked, problem]).to.deep.equal(['Redis does not answer.', 'Redis does not answer.'])
    expect(checkMs).to.be.below(3_000)
    expect(lines().map((line) => JSON.parse(line).msg)).to.deep.equal([
      'Redis does not answer; waiting for it',
      'Redis answers again',
    ])
    expect(await link.check()).to.equal(undefined)
  })

  for (const [what, prepare] of [
    ['', async () => undefined],
    [
      ' although its connections are cut meanwhile',
      (redis: OwnRedis) => redis.call('CLIENT', 'KILL', 'TYPE', 'normal'),
    ],
  ] as const) {
    it(`that withholds writes is logged once, and once when it takes them again${what}`, async () => {
      const redis = await aRedis()
      const { link, lines } = await open(redis.url, 100)
      await redis.call('CLIENT', 'PAUSE', '600000', 'WRITE')
      const written = Promise.all([link.client.set('a', '1'), link.client.set('b', '2')])

      await until('it is logged', () => lines().length > 0)
      await prepare(redis)
      await sleep(4_000) // many times as long as a connection may be silent
      const problem = link.problem()
      await redis.call('CLIENT', 'UNPAUSE')
      await written
      await until('it is over', () => lines().length > 1)

      const [first, last, ...others] = lines()
      expect(first).to.contain('Redis withholds writes; waiting for it')
      expect(last).to.contain('Redis takes writes again')
      expect(others).to.deep.equal([])
      expect(problem).to.contain('Redis withholds writes')
      expect(link.problem()).to.equal(undefined)
      expect(await link.check()).to.equal(undefined)
    })
  }

  it('is not known from a connection that is cut while it asks, or is refused', async () => {
    const cutting = createServer((socket) => socket.once('data', () => socket.destroy()))
    stops.push(() => cutting.close())
    await new Promise<void>((resolve) => cutting.listen(0, '127.0.0.1', resolve))
    const url = `redis://127.0.0.1:${Object(cutting.address()).port}`
    const probe = createProbe(new RedisClient(url, { lazyConnect: true }), { prefix: '{loopfleet}' })

    expect(await probe.condition()).to.equal('unknown')
    await new Promise((resolve) => cutting.close(resolve))
    expect(await probe.condition()).to.equal('unknown')
  })

  for (const [what, prepare] of [
    ['', async () => undefined],
    [', also of a connection that is made meanwhile', async (link: RedisLink) => link.duplicate()],
  ] as const) {
    it(`that is busy with a long script is logged once, and every command waits for its end${what}`, async () => {
      const redis = await aRedis()
      const { link, lines } = await open(redis.url, 100)
      const [reader, consumer] = [link.duplicate(), link.duplicate()]
      await Promise.all([reader.ping(), consumer.ping()])

      await beginLongScript(redis)
      const late = await prepare(link)
      const answers = Promise.all([
        INCREASE(link.client, ['{loopfleet}:count'], []),
        link.client.set('{loopfleet}:text', 'whole'),
        reader.xread('COUNT', 1, 'STREAMS', '{loopfleet}:none', '0'),
        consumer.bzpopmin('{loopfleet}:empty', 0.01),
        link.client.pipeline().rpush('{loopfleet}:list', 'a').rpush('{loopfleet}:list', 'b').exec(),
        late?.incr('{loopfleet}:late'),
      ])
      await until('it is logged', () => lines().length > 0)
      await sleep(4_000) // many times as long as a connection may be silent
      const [problem, checked] = [link.problem(), await link.check()]
      await endLongScript(redis)
      await answers
      await until('it is over', () => lines().length > 1)

      expect([problem, checked]).to.deep.equal(Array(2).fill('Redis is busy with a long script.'))
      expect(lines().map((line) => JSON.parse(line).msg)).to.deep.equal([
        'Redis is busy with a long script; waiting for its end',
        'Redis has ended its long script',
      ])
      expect(await link.client.mget('{loopfleet}:count', '{loopfleet}:text')).to.deep.equal(['1', 'whole'])
      expect(await link.client.lrange('{loopfleet}:list', 0, -1)).to.deep.equal(['a', 'b'])
      expect(await link.client.get('{loopfleet}:late')).to.equal(late === undefined ? null : '1')
      expect(link.problem()).to.equal(undefined)
    })
  }

  it('that is busy with a script refuses a transaction, of which nothing is done', async () => {
    const redis = await aRedis()
    const { link } = await open(redis.url)

    await beginLongScript(redis)
    const error = await rejection(link.client.multi().set('{loopfleet}:a', '1').set('{loopfleet}:b', '1').exec())
    await endLongScript(redis)

    expect(error.message).to.match(/^EXECABORT/)
    expect(await link.client.mget('{loopfleet}:a', '{loopfleet}:b')).to.deep.equal([null, null])
  })

  it('by a long script is named to a part that starts', async () => {
    const redis = await aRedis()
    await beginLongScript(redis)

    const error = await rejection(openRedis(redis.url, { log: silentLogger() }, { connectTimeoutMs: 4_000 }))
    await endLongScript(redis)

    expect(error).to.have.property('code', 'LF_REDIS_UNFIT')
    expect(error.message).to.contain(
      'is busy with a long script; wait until the script ends, or end it with SCRIPT KILL',
    )
  })

  it('by a long script that ends in time holds up no start', async () => {
    const redis = await aRedis()
    await beginLongScript(redis)
    const opened = open(redis.url)

    await sleep(1_000)
    await endLongScript(redis)

    expect(await (await opened).link.client.ping()).to.equal('PONG')
  })

  it('by a long script holds up no end', async () => {
    const redis = await aRedis()
    const { link } = await open(redis.url)
    await beginLongScript(redis)
    const waiting = rejection(link.client.set('{loopfleet}:a', '1'))
    await sleep(500)

    const begunAt = performance.now()
    await link.close()
    const seconds = (performance.now() - begunAt) / 1000
    await endLongScript(redis)

    expect(seconds).to.be.below(4)
    expect((await waiting).message).to.equal('Connection is closed.')
  })

  it('since the disk is full, on which the Redis of this machine has its files, is named', async function () {
    const disk = join(folder.path, 'disk')
    await mkdir(disk)
    const mounted = await execa('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', disk], { reject: false })
    if (mounted.exitCode !== 0) return this.skip() // only root may mount
    stops.push(() => execa('umount', ['--lazy', disk]))
    try {
      const server = await startRedisServer({ folder: join(disk, 'redis') }, { log: silentLogger() })
      stops.push(() => server.close())
      const { link, lines } = await open(server.url, 100)
      const full = `the disk of ${join(disk, 'redis')} is full`

      await writeFile(join(disk, 'filler'), Buffer.alloc(16e6)).catch(() => undefined)
      const written = link.client.set('a', 'x'.repeat(100_000))
      await until('the cause is logged', () => lines().some((line) => line.includes(full)))
      const asked = { log: silentLogger() }
      await until('a command names it', async () =>
        openRedis(server.url, asked, { connectTimeoutMs: 50, waitsForLoading: false, access: 'read' }).then(
          async (opened) => void (await opened.close()),
          (error: Error) => error.message.includes(`${full}; make room there.`),
        ),
      )
      await rm(join(disk, 'filler'))

      expect(await written).to.equal('OK')
    } finally {
      for (const stop of stops.splice(0).reverse()) await stop() // before the folder is removed
    }
  })

  describe('that is loading its data set', () => {
    /** Loads for some seconds whenever it is started. */
    async function aLargeRedis(): Promise<OwnRedis> {
      const slowly = ['--key-load-delay', '1000', '--loading-process-events-interval-bytes', '1024']
      const redis = await startOwnRedis(folder.path, '--enable-debug-command', 'yes', ...slowly)
      stops.push(() => redis.close())
      await redis.call('DEBUG', 'POPULATE', '4000', 'key', '30')
      await redis.call('BGREWRITEAOF')
      await until('it is written', async () =>
        String(await redis.call('INFO', 'persistence')).includes('aof_rewrite_in_progress:0'),
      )
      return redis
    }

    it('is named when a command is given, and is waited for by a part', async () => {
      const redis = await aLargeRedis()
      await redis.kill()
      const started = redis.start()
      await isLoading(redis)

      const asked = { connectTimeoutMs: 800, waitsForLoading: false, access: 'read' } as const
      const error = await rejection(openRedis(redis.url, { log: silentLogger() }, asked))
      const { link } = await open(redis.url, undefined, 500)

      expect(error).to.have.property('code', 'LF_REDIS_UNFIT')
      expect(error.message).to.equal(`Redis at ${redis.url} is loading its data set; wait until it has.`)
      expect(await link.client.ping()).to.equal('PONG')
      await started
    })

    it('is left when the part is asked to end meanwhile', async () => {
      const redis = await aLargeRedis()
      await redis.kill()
      const started = redis.start()
      await isLoading(redis)
      const ending = new AbortController()
      const opened = openRedis(redis.url, { log: silentLogger() }, { connectTimeoutMs: 100, signal: ending.signal })

      setTimeout(() => ending.abort(), 1_000)

      expect(await rejection(opened))
        .to.have.property('code')
        .that.is.oneOf(['LF_REDIS_UNFIT', 'LF_REDIS_UNREACHABLE'])
      await started
    })

    it('is named once in the log, and to those that ask, when it is started again', async () => {
      const redis = await aLargeRedis()
      const { link, lines } = await open(redis.url, 100)
      await redis.kill()
      await until('it is unreachable', () => lines().length > 0)
      const started = redis.start()
      await until('it is named', () => lines().length > 1)

      const problems = [link.problem(), await link.check()]
      await started
      await until('it is over', () => lines().length > 2)

      expect(problems).to.deep.equal(Array(2).fill('Redis is loading its data set.'))
      const [first, second, last, ...others] = lines()
      expect(first).to.contain('Redis unreachable; waiting for it')
      expect(second).to.contain('Redis is loading its data set; waiting for it')
      expect(last).to.contain('Redis has loaded its data set')
      expect(others).to.deep.equal([])
    })
  })
})

async function isLoading(redis: OwnRedis): Promise<void> {
  const answersLoading = async () => {
    const client = new Redis(redis.port, '127.0.0.1', { enableReadyCheck: false, retryStrategy: () => null })
    client.on('error', () => undefined)
    const answer = await client.ping().catch((error: Error) => error.message)
    client.disconnect()
    return answer.startsWith('LOADING')
  }
  await until('it is loading', answersLoading)
}
