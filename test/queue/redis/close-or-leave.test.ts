import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { silentLogger } from '../../../src/base/logger/logger.js'
import { startRedisServer } from '../../../src/queue/embedded-redis/redis-server.js'
import { closeOrLeave, leaveWhenUnusable, reportOrLeave } from '../../../src/queue/redis/close-or-leave.js'
import { luaScript } from '../../../src/queue/redis/lua-script.js'
import { openRedis, type RedisLink } from '../../../src/queue/redis/open-redis.js'
import { rejection } from '../../helpers/rejection.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'
import { until } from '../../helpers/until.js'

const log = silentLogger()

describe('at the end of a part, with a Redis that has been stopped', function () {
  this.timeout(20_000)
  const folder = useTemporaryFolder()
  let link: RedisLink
  let pid: number
  let url: string
  let stop: () => Promise<void>

  beforeEach(async () => {
    const server = await startRedisServer({ folder: folder.path }, { log })
    link = await openRedis(server.url, { log })
    pid = server.pid
    url = server.url
    stop = () => server.close()
  })
  afterEach(async () => {
    process.kill(pid, 'SIGCONT')
    await link.close()
    await stop()
  })

  it('what waits for an answer fails after a while', async () => {
    const asked = new AbortController()
    leaveWhenUnusable(link, { ending: asked.signal, graceMs: 100 })
    process.kill(pid, 'SIGSTOP')
    const waiting = rejection(link.client.get('a'))

    asked.abort()

    expect((await waiting).message).to.contain('Connection is closed')
  })

  it('a Redis that answers is not left', async () => {
    const asked = new AbortController()
    leaveWhenUnusable(link, { ending: asked.signal, graceMs: 0 })

    asked.abort()
    await sleep(300) // it has asked by then

    expect(await link.client.ping()).to.equal('PONG')
  })

  it('what closes, or is reported, is waited for no longer than some seconds', async () => {
    process.kill(pid, 'SIGSTOP')
    const begunAt = performance.now()

    await closeOrLeave(link, new Promise(() => undefined))
    await reportOrLeave(link, () => link.client.del('a'))

    expect(performance.now() - begunAt).to.be.below(6_000)
  })

  it('a Redis that refuses writes is left, though it answers', async () => {
    const write = luaScript("return redis.call('SET', KEYS[1], '1')")
    const asked = new AbortController()
    leaveWhenUnusable(link, { ending: asked.signal, graceMs: 500 })
    await link.client.config('SET', 'maxmemory', '1')
    const waiting = rejection(write(link.client, ['a'], []))

    asked.abort()

    expect((await waiting).message).to.contain('Connection is closed')
  })

  it('a Redis that is read-only for long is left for good', async () => {
    const watched = await openRedis(url, { log }, { lookMs: 20 })
    const operator = link.duplicate()
    await operator.call('REPLICAOF', '127.0.0.1', '1')
    const refused = rejection(watched.client.set('a', '1'))
    await sleep(1_500) // connections are refused, made again and checked many times
    await until('it is to be connected again', () => watched.client.status === 'reconnecting')

    watched.leave()
    await refused
    await sleep(1_500) // longer than any pause before an attempt

    expect(watched.client.status).to.equal('end')
  })

  it('an attempt to connect ends when the part is asked to end', async () => {
    process.kill(pid, 'SIGSTOP')
    const begunAt = performance.now()

    const failed = await rejection(openRedis(url, { log }, { signal: AbortSignal.timeout(100) }))

    expect(failed).to.have.property('code', 'LF_REDIS_UNREACHABLE')
    expect(performance.now() - begunAt).to.be.below(5_000)
  })

  it('what is reported is waited for while Redis answers', async () => {
    await link.client.set('a', '1')

    await reportOrLeave(link, () => link.client.del('a'))

    expect(await link.client.exists('a')).to.equal(0)
  })
})
