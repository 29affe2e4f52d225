import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { inspect } from 'node:util'
import { expect } from 'chai'
import { execa } from 'execa'
import { Redis } from 'ioredis'
import { InvalidInputError } from '../../../src/base/errors.js'
import { createLogger, silentLogger } from '../../../src/base/logger/logger.js'
import { luaScript } from '../../../src/queue/redis/lua-script.js'
import { openRedis } from '../../../src/queue/redis/open-redis.js'
import { REDIS_RULE } from '../../../src/queue/redis-basics/redis-errors.js'
import { parseRedisUrl } from '../../../src/queue/redis-basics/redis-url.js'
import { rejection } from '../../helpers/rejection.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'
import { until } from '../../helpers/until.js'
import { freePort } from '../own-redis.js'

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
      ['scripts by their hash', `${REDIS_RULE} -evalsha`, /'evalsha'/],
      ['streams', `${REDIS_RULE} -xadd`, /The user executing the script can't run this command/],
      ['reading of streams', `${REDIS_RULE} -xread`, /'xread'/],
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

    for (const right of ['evalsha', 'xadd']) {
      it(`waits, and says for what, while ${right} is forbidden later`, async () => {
        const url = startForeign()
        await call(url, 'ACL', 'SETUSER', 'fleet', 'on', `>${SECRET}`, ...REDIS_RULE.split(' '))
        let text = ''
        const logger = createLogger({ destination: { write: (line: string) => (text += line) } })
        const link = await openRedis(url.replace('unix://', `unix://fleet:${SECRET}@`), { log: logger })
        stops.push(() => link.close())
        const note = luaScript(`return redis.call('XADD', KEYS[1], '*', 'n', ARGV[1])`)

        await call(url, 'ACL', 'SETUSER', 'fleet', `-${right}`)
        const noted = note(link.client, [`${link.prefix}:notes`], [SECRET])
        await until('the log names it', () => text.includes('the rules of its user forbid it'))
        await call(url, 'ACL', 'SETUSER', 'fleet', `+${right}`)

        expect(await noted).to.be.a('string')
        expect(text.split('forbid it').length - 1).to.equal(1)
        expect(text)
          .to.match(/'evalsha'|executing the script/)
          .and.not.contain(SECRET)
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

  for (const [begins, change] of [
    ['is wrong', ['CONFIG', 'SET', 'requirepass', 'other']],
    ['is that of a user who is off', ['ACL', 'SETUSER', 'default', 'off']],
  ] as const) {
    it(`logs no password at any level, nor carries it on an error, when it ${begins} later`, async () => {
      const url = startForeign('--requirepass', SECRET).replace('unix://', `unix://default:${SECRET}@`)
      let text = ''
      const written = { write: (line: string) => (text += line) }
      const link = await openRedis(url, { log: createLogger({ level: 'trace', destination: written }) })
      stops.push(() => link.close())
      const copy = link.duplicate({ enableOfflineQueue: true, maxRetriesPerRequest: 1 })
      const errors: unknown[] = []
      copy.on('error', (error) => errors.push(error))
      link.client.on('error', (error) => errors.push(error))

      await link.client.call(...(change as unknown as [string, ...string[]]))
      link.client.stream.destroy()
      copy.stream?.destroy()
      const refused = await rejection(copy.call('SET', 'a', SECRET))
      await until('the log names it', () => text.includes('WRONGPASS'))

      createLogger({ level: 'trace', destination: written }).error({ err: refused, errors }, 'all of it')
      expect(errors.length).to.be.above(0)
      expect(text + inspect([refused, errors], { depth: 9, showHidden: true })).not.to.contain(SECRET)
    })
  }

  it('names a Sentinel', async () => {
    const config = join(folder.path, 'sentinel.conf')
    await writeFile(config, `port 0\nunixsocket ${folder.path}/sentinel.sock\nsentinel monitor m 127.0.0.1 1 1\n`)
    const child = spawn('redis-server', [config, '--sentinel'], { stdio: 'ignore' })
    const ended = once(child, 'exit')
    stops.push(() => {
      child.kill('SIGKILL')
      return ended
    })

    for (const access of ['read', 'write'] as const) {
      const error = await rejection(openRedis(`unix://${folder.path}/sentinel.sock`, { log }, { access }))
      expect(error).to.include({ code: 'LF_REDIS_UNFIT' })
      expect(error.message).to.contain('is a Sentinel').and.contain('use the address of the primary')
    }
  })

  it('does not wait for a database that the server does not have', async () => {
    const url = `${startForeign('--databases', '2')}?db=5`

    const error = await rejection(openRedis(url, { log }))

    expect(error.message).to.contain('it has no database 5').and.contain('name another one in REDIS_URL')
  })

  it('names what is wrong with certificates, and survives all errors of a TLS socket', async () => {
    const certificate = (name: string) =>
      fileURLToPath(new URL(`../../fixtures/certificates/${name}.pem`, import.meta.url))
    const port = await freePort()
    const start = (name: string, clients: string) => {
      const [cert, key] = [certificate(name), certificate(`${name}.key`)]
      const files = ['--tls-cert-file', cert, '--tls-key-file', key, '--tls-ca-cert-file', cert]
      startForeign('--tls-port', String(port), ...files, '--tls-auth-clients', clients)
    }
    const ask = async (authority?: string) => {
      const module = (name: string) => new URL(`../../../src/${name}.js`, import.meta.url).href
      const script = `import { openRedis } from '${module('queue/redis/open-redis')}'
        import { silentLogger } from '${module('base/logger/logger')}'
        const opened = openRedis('rediss://localhost:${port}', { log: silentLogger() }, { connectTimeoutMs: 3_000 })
        console.log(await opened.then(async (link) => (await link.close(), 'opened'), ({ message }) => message))`
      const env = authority === undefined ? {} : { NODE_EXTRA_CA_CERTS: certificate(authority) }
      return (await execa('node', ['--input-type=module', '--eval', script], { env })).stdout
    }

    start('localhost', 'no')
    expect(await ask())
      .to.contain('not signed by an authority')
      .and.contain('; set NODE_EXTRA_CA_CERTS')
    expect(await ask('localhost')).to.equal('opened')
    await stops.pop()?.()
    start('localhost', 'yes')
    expect(await ask('localhost')).to.contain('tls-auth-clients')
    await stops.pop()?.()
    start('other.lab', 'no')
    expect(await ask('other.lab')).to.contain('its certificate is not for localhost; use a name of its certificate')
    await stops.pop()?.()
    start('expired', 'no')
    expect(await ask('expired')).to.contain('its certificate is not valid now')
  })

  it('names TLS where one side speaks it alone', async () => {
    for (const [scheme, onSocket, sentence] of [
      ['rediss', (socket: Socket) => socket.resume(), 'if it speaks no TLS, it is redis://'],
      ['redis', (socket: Socket) => socket.resetAndDestroy(), 'if it speaks TLS, it is rediss://'],
    ] as const) {
      const server = createServer((socket) => {
        socket.on('error', () => undefined)
        onSocket(socket)
      })
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      const { port } = server.address() as { port: number }
      const error = await rejection(openRedis(`${scheme}://127.0.0.1:${port}`, { log }, { connectTimeoutMs: 500 }))
      expect(error.message).to.contain(sentence)
      server.close()
    }
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
