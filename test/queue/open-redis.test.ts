import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { Redis } from 'ioredis'
import { InvalidInputError } from '../../src/base/errors.js'
import { createLogger, silentLogger } from '../../src/base/logger.js'
import { openRedis } from '../../src/queue/open-redis.js'
import { REDIS_RULE } from '../../src/queue/redis-errors.js'
import { parseRedisUrl } from '../../src/queue/redis-url.js'
import { rejection } from '../helpers/rejection.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'

const log = silentLogger()
const SECRET = 'hush-hush'

describe('openRedis', () => {
  const folder = useTemporaryFolder()
  const stops: (() => Promise<unknown>)[] = []
  afterEach(async () => {
    for (const stop of stops.splice(0)) await stop()
  })

  /** A server that is not ours, as a user may name one. */
  function startForeign(...settings: string[]): string {
    const socket = join(folder.path, 'foreign.sock')
    const args = ['--port', '0', '--unixsocket', socket, '--dir', folder.path, '--save', '', ...settings]
    const child = spawn('redis-server', args, { stdio: 'ignore' })
    const ended = once(child, 'exit')
    stops.push(() => {
      child.kill('SIGKILL')
      return ended
    })
    return `unix://${socket}`
  }

  async function warningsOf(url: string): Promise<string> {
    let text = ''
    const destination = { write: (line: string) => (text += line) }
    const link = await openRedis(url, { log: createLogger({ destination }) })
    await link.close()
    return text
  }

  it('sends what is asked in one tick together, and answers in order', async () => {
    const { client, close } = await openRedis(startForeign(), { log })
    await client.set('n', 0)
    await client.ping()
    const writesBefore = client.stream.bytesWritten
    const answers = Promise.all(Array.from({ length: 500 }, () => client.incr('n')))
    expect(client.stream.writableLength).to.be.above(500 * '*2incrn'.length) // held until the tick is over

    expect(await answers).to.deep.equal(Array.from({ length: 500 }, (_, index) => index + 1))
    expect(client.stream.bytesWritten).to.be.above(writesBefore)
    await close()
  })

  it('refuses a server that may throw jobs away', async () => {
    const url = startForeign('--maxmemory-policy', 'allkeys-lru')

    const error = await rejection(openRedis(url, { log }))

    expect(error).to.include({ code: 'LF_REDIS_UNFIT' })
    expect(error.message).to.contain('maxmemory-policy allkeys-lru').and.contain('noeviction')
  })

  it('refuses a server that is full', async () => {
    const url = startForeign('--maxmemory', '1')

    expect((await rejection(openRedis(url, { log }))).message)
      .to.contain('does not take writes')
      .and.contain('OOM')
  })

  /** An operator's hand on a server that is running. */
  async function call(url: string, ...[name = '', ...args]: string[]): Promise<void> {
    const client = new Redis({ path: url.replace('unix://', ''), retryStrategy: () => 20 })
    client.on('error', () => undefined)
    await client.call(name, ...args)
    client.disconnect()
  }

  for (const [what, settings, command, message] of [
    ['too few replicas', ['--min-replicas-to-write', '1'], ['PING'], /NOREPLICAS.*start them, or lower/],
    [
      'a disk it cannot save to',
      ['--save', '3600', '1', '--dbfilename', 'x'],
      ['BGSAVE'],
      /it cannot save to its disk \(MISCONF.*make room/s,
    ],
  ] as const) {
    it(`refuses a server that has ${what}, and reads from it`, async () => {
      const url = startForeign(...settings)
      if (command[0] === 'BGSAVE') {
        await call(url, 'SET', 'a', '1')
        await mkdir(join(folder.path, 'x')) // the file's name is taken by a folder, so that no save succeeds
      }
      await call(url, ...command)
      if (command[0] === 'BGSAVE') await sleep(500)

      const error = await rejection(openRedis(url, { log }))
      const reading = await openRedis(url, { log }, { access: 'read' })

      expect(error).to.include({ code: 'LF_REDIS_UNFIT' })
      expect(error.message).to.match(message)
      expect(await reading.client.get('a')).to.be.oneOf(['1', null])
      await reading.close()
    })
  }

  describe('as a user with rules', () => {
    for (const [lacks, rule, reason] of [
      ['INFO', `${REDIS_RULE} -info`, /'info'/],
      ['TIME', `${REDIS_RULE} -time`, /The user executing the script can't run this command/],
      ['scripts', `${REDIS_RULE} -@scripting`, /'eval'/],
      ['channels', `${REDIS_RULE} resetchannels`, /channel/],
      ['blocking reads', `${REDIS_RULE} -@blocking`, /'bzpopmin'/],
      ['our keys', `${REDIS_RULE} resetkeys ~other:*`, /key/],
    ] as const) {
      it(`says which rule is missing when it lacks ${lacks}`, async () => {
        const url = startForeign()
        await call(url, 'ACL', 'SETUSER', 'fleet', 'on', `>${SECRET}`, ...rule.split(' '))

        const error = await rejection(openRedis(url.replace('unix://', `unix://fleet:${SECRET}@`), { log }))

        expect(error).to.include({ code: 'LF_REDIS_FORBIDDEN' })
        expect(error.message).to.match(reason).and.contain('user "fleet"').and.contain(REDIS_RULE)
        expect(JSON.stringify(error) + error.message).not.to.contain(SECRET)
      })
    }
  })

  it('refuses a server that is read-only', async () => {
    const url = startForeign('--replicaof', '127.0.0.1', '1')

    expect((await rejection(openRedis(url, { log }))).message).to.contain('READONLY')
  })

  it('warns of a server that can lose orders', async () => {
    expect(await warningsOf(startForeign())).to.contain('no append-only file')
  })

  it('warns of a server that writes once a second', async () => {
    expect(await warningsOf(startForeign('--appendonly', 'yes'))).to.contain('"appendfsync":"everysec"')
  })

  it('uses a password and never shows it', async () => {
    const url = startForeign('--requirepass', SECRET)
    const withPassword = url.replace('unix://', `unix://default:${SECRET}@`)

    const text = await warningsOf(withPassword)

    expect(text).to.contain('foreign.sock').and.not.contain(SECRET)
  })

  it('does not wait when the password is wrong, and does not show it', async () => {
    const url = startForeign('--requirepass', 'other')

    const error = await rejection(openRedis(url.replace('unix://', `unix://default:${SECRET}@`), { log }))

    expect(error).to.include({ code: 'LF_REDIS_UNREACHABLE' })
    expect(error.message).to.contain('WRONGPASS')
    expect(JSON.stringify(error) + error.stack + String(error.cause)).not.to.contain(SECRET)
  })

  it('says when a password is needed', async () => {
    const url = startForeign('--requirepass', 'other')

    expect((await rejection(openRedis(url, { log }))).message).to.contain('NOAUTH')
  })

  it('gives up where nobody answers', async () => {
    const url = `unix://${folder.path}/nobody.sock`

    const error = await rejection(openRedis(url, { log }, { connectTimeoutMs: 200 }))

    expect(error).to.include({ code: 'LF_REDIS_UNREACHABLE', failure: 'transient' })
    expect(error.message).to.contain('nobody.sock').and.contain('ENOENT')
  })

  it('refuses an address it cannot read, without repeating it', async () => {
    for (const url of ['', 'http://x', `redis//:${SECRET}@x`, 'localhost:6379', 'unix:relative.sock?']) {
      const error = await rejection(openRedis(url, { log }, { connectTimeoutMs: 100 }))
      expect(error.message).not.to.contain(SECRET)
    }
  })

  it('says how signs of a password are written, without repeating it', () => {
    for (const url of [
      `redis://:${SECRET}%x@h`,
      `redis://:${SECRET}#1@h`,
      `unix://me:${SECRET}%@/run/x.sock`,
      'redis://:%ff@h',
    ]) {
      expect(() => parseRedisUrl(url), url)
        .to.throw(InvalidInputError, /write # as %23.*% as %25/)
        .and.not.match(/hush/)
    }
  })

  it('says that what answers is no Redis, or speaks no TLS', async () => {
    const server = createServer((socket) => {
      socket.on('error', () => undefined)
      socket.resume()
      socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as { port: number }

    for (const [scheme, sentence] of [
      ['redis', 'what answers there is no Redis'],
      ['rediss', 'it is redis://, not rediss://'],
    ] as const) {
      const error = await rejection(openRedis(`${scheme}://127.0.0.1:${port}`, { log }, { connectTimeoutMs: 1_000 }))
      expect(error.message).to.contain(sentence)
    }
    server.close()
  })

  it('reads addresses of all kinds', () => {
    expect(parseRedisUrl('unix:///run/my%20redis.sock?db=2').options).to.deep.equal({
      path: '/run/my redis.sock',
      db: 2,
    })
    expect(parseRedisUrl('/run/redis.sock').options).to.deep.equal({ path: '/run/redis.sock' })
    expect(parseRedisUrl(`rediss://me:${SECRET}@host:6380/1`).shown).to.equal('rediss://host:6380/1')
  })

  describe('never shows a secret:', () => {
    const shown: readonly [url: string, shown: string][] = [
      [`redis://127.0.0.1/?password=${SECRET}`, 'redis://127.0.0.1/'],
      [`redis://127.0.0.1:6379/2?username=me&password=${SECRET}`, 'redis://127.0.0.1:6379/2'],
      [`redis://:${SECRET}@host`, 'redis://host'],
      [`redis://me:p%40${SECRET}@host:1`, 'redis://host:1'],
      [`redis://:p@${SECRET}@host`, 'redis://host'],
      [`redis://${SECRET}@host`, 'redis://host'],
      [`rediss://me:${SECRET}@[::1]:6380/0`, 'rediss://[::1]:6380/0'],
      [`unix:///run/redis.sock?db=1&password=${SECRET}`, 'unix:///run/redis.sock'],
      [`unix://me:a@${SECRET}@/run/redis.sock`, 'unix:///run/redis.sock'],
      [`/run/redis.sock?password=${SECRET}`, 'unix:///run/redis.sock'],
    ]
    for (const [url, expected] of shown) {
      it(url, () => {
        expect(parseRedisUrl(url).shown).to.equal(expected)
      })
    }

    for (const url of [`redis://me:12/${SECRET}@host`, `redis://host/${SECRET}`, `redis://me:1?${SECRET}@host`]) {
      it(`${url}, which is refused`, () => {
        expect(() => parseRedisUrl(url))
          .to.throw(InvalidInputError)
          .with.property('message')
          .that.does.not.include(SECRET)
      })
    }
  })

  it('takes the password behind the path of a socket', async () => {
    const url = startForeign('--requirepass', SECRET)

    const text = await warningsOf(`${url}?password=${SECRET}`)

    expect(text).to.contain('foreign.sock').and.not.contain(SECRET)
  })
})
