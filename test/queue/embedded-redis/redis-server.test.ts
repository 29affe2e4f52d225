import { access, mkdir, rmdir, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { expect } from 'chai'
import { silentLogger } from '../../../src/base/logger/logger.js'
import { type EmbeddedRedis, startRedisServer } from '../../../src/queue/embedded-redis/redis-server.js'
import { redisSocketPath } from '../../../src/queue/embedded-redis/redis-socket.js'
import { openRedis } from '../../../src/queue/redis/open-redis.js'
import { startNodeScript } from '../../helpers/node-script.js'
import { rejection } from '../../helpers/rejection.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'
import { until } from '../../helpers/until.js'

const log = silentLogger()
const keepsARedis = new URL('../../fixtures/programs/keeps-a-redis', import.meta.url)

describe('the embedded Redis', () => {
  const folder = useTemporaryFolder()
  const started: EmbeddedRedis[] = []
  afterEach(async () => {
    for (const server of started.splice(0)) await server.close()
  })

  async function start(options: Partial<Parameters<typeof startRedisServer>[0]> = {}): Promise<EmbeddedRedis> {
    const server = await startRedisServer({ folder: folder.path, ...options }, { log })
    started.push(server)
    return server
  }

  async function ask<T>(server: EmbeddedRedis, question: (client: RedisClient) => Promise<T>): Promise<T> {
    const link = await openRedis(server.url, { log })
    try {
      return await question(link.client)
    } finally {
      await link.close()
    }
  }
  type RedisClient = Awaited<ReturnType<typeof openRedis>>['client']

  it('keeps what it took when it is closed and started again', async () => {
    await ask(await start(), (client) => client.set('x', 'kept'))
    await started.pop()?.close()

    expect(await ask(await start(), (client) => client.get('x'))).to.equal('kept')
  })

  it('comes back with all it took when it is killed', async () => {
    const server = await start()
    const { pid } = server
    await ask(server, async (client) => {
      await client.set('x', 'kept')
      process.kill(pid, 'SIGKILL')
      expect(await client.get('x')).to.equal('kept')
    })
    await until('it has another process', () => server.pid !== pid)
  })

  it('lets nobody else in', async () => {
    const server = await start()

    const { mode } = await stat(new URL(server.url.replace('unix:', 'file:')))

    expect(mode & 0o077).to.equal(0)
  })

  it('goes when its owner is killed -9', async () => {
    const owner = await startNodeScript(keepsARedis, [folder.path])
    const pid = Number(owner.firstLine)

    await owner.kill('SIGKILL')

    await until('the server is gone', () => !isAlive(pid))
  })

  it('is there for the next owner while the last one, killed -9, is still ending', async () => {
    const owner = await startNodeScript(keepsARedis, [folder.path])
    await owner.kill('SIGKILL')

    const server = await start()

    expect(server.pid).not.to.equal(Number(owner.firstLine))
    expect(await ask(server, (client) => client.ping())).to.equal('PONG')
  })

  it('refuses a folder that another server uses', async () => {
    await start()

    const error = await rejection(start({ folderWaitMs: 100 }))

    expect(error).to.include({ code: 'LF_REDIS_FOLDER_BUSY' })
    expect(error.message).to.contain(folder.path)
  })

  it('listens in a private short folder when the path is too long for a socket', async () => {
    const long = join(folder.path, 'a'.repeat(120), 'ä b"c')

    const server = await start({ folder: long })

    const socket = server.url.replace('unix://', '')
    expect(Buffer.byteLength(socket)).to.be.below(108)
    expect(socket).to.equal(redisSocketPath(long))
    expect((await stat(dirname(socket))).mode & 0o777).to.equal(0o700)
    expect(await ask(server, (client) => client.ping())).to.equal('PONG')
    await access(join(long, 'appendonlydir'))
  })

  it('does not listen in a folder that somebody else can enter', async () => {
    const long = join(folder.path, 'b'.repeat(120))
    const open = dirname(redisSocketPath(long))
    await mkdir(open, { mode: 0o755 })

    const error = await rejection(start({ folder: long }))
    await rmdir(open)

    expect(error).to.include({ code: 'LF_INVALID_INPUT' })
    expect(error.message).to.contain('chmod 700')
  })

  it('says why it does not start', async () => {
    const conf = join(folder.path, 'bad.conf')
    await writeFile(conf, 'no-such-directive yes\n')

    const error = await rejection(start({ conf }))

    expect(error).to.include({ code: 'LF_REDIS_START' })
    expect(error.message).to.match(/Bad directive|no-such-directive/)
  })

  it('says so when its configuration asks for a password', async () => {
    const conf = join(folder.path, 'password.conf')
    await writeFile(conf, 'port 0\nrequirepass hush\n')

    const error = await rejection(start({ conf }))

    expect(error).to.include({ code: 'LF_REDIS_START' })
    expect(error.message).to.contain('NOAUTH')
  })

  it('says how to get redis-server where there is none', async () => {
    const error = await rejection(start({ path: folder.path }))

    expect(error).to.include({ code: 'LF_REDIS_MISSING' })
    expect(error.message).to.contain('apt-get install redis-server')
  })
})

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
