import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { silentLogger } from '../../src/base/logger.js'
import { closeOrLeave, leaveWhenSilent, sayOrLeave } from '../../src/queue/close-or-leave.js'
import { openRedis, type RedisLink } from '../../src/queue/open-redis.js'
import { startRedisServer } from '../../src/queue/redis-server.js'
import { rejection } from '../helpers/rejection.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'

const log = silentLogger()

describe('at the end of a part, with a Redis that has been stopped', function () {
  this.timeout(20_000)
  const folder = useTemporaryFolder()
  let link: RedisLink
  let pid: number
  let stop: () => Promise<void>

  beforeEach(async () => {
    const server = await startRedisServer({ folder: folder.path }, { log })
    link = await openRedis(server.url, { log })
    pid = server.pid
    stop = () => server.close()
  })
  afterEach(async () => {
    process.kill(pid, 'SIGCONT')
    await link.close()
    await stop()
  })

  it('what waits for an answer fails after a while', async () => {
    const asked = new AbortController()
    leaveWhenSilent(link, { signal: asked.signal, patienceMs: 100 })
    process.kill(pid, 'SIGSTOP')
    const waiting = rejection(link.client.get('a'))

    asked.abort()

    expect((await waiting).message).to.contain('Connection is closed')
  })

  it('a Redis that answers is not left', async () => {
    const asked = new AbortController()
    leaveWhenSilent(link, { signal: asked.signal, patienceMs: 0 })

    asked.abort()
    await sleep(300) // it looks and gets its answer

    expect(await link.client.ping()).to.equal('PONG')
  })

  it('what is closed and said there is waited for no longer than a look or two', async () => {
    process.kill(pid, 'SIGSTOP')
    const begunAt = performance.now()

    await closeOrLeave(link, new Promise(() => undefined))
    await sayOrLeave(link, () => link.client.del('a'))

    expect(performance.now() - begunAt).to.be.below(6_000)
  })

  it('what is said is waited for while Redis answers', async () => {
    await link.client.set('a', '1')

    await sayOrLeave(link, () => link.client.del('a'))

    expect(await link.client.exists('a')).to.equal(0)
  })
})
