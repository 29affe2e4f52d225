import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { execa } from 'execa'
import { silentLogger } from '../../src/base/logger/logger.js'
import { startLocalLoop } from '../../src/mock/loop/index.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'
import { until } from '../helpers/until.js'
import { type OwnRedis, startOwnRedis } from '../queue/own-redis.js'
import { packageRoot } from './run-cli.js'

const LOOPFLEET = join(packageRoot, 'dist/src/cli/launch/loopfleet.sh')
const trainer = fileURLToPath(new URL('../fixtures/trainers/quick/trainer.yaml', import.meta.url))
const converter = fileURLToPath(new URL('../fixtures/converters/a-to-b/converter.yaml', import.meta.url))
const log = silentLogger()
const NOT_CONNECTED = 'The node is not connected to the Loop.'

describe('the probes of a part', function () {
  this.timeout(60_000)
  const folder = useTemporaryFolder()
  const controllers: AbortController[] = []
  let redis: OwnRedis
  beforeEach(async () => {
    redis = await startOwnRedis(folder.path)
  })
  afterEach(async () => {
    for (const controller of controllers.splice(0)) controller.abort()
    await redis.close()
  })

  function matches(text: string | undefined, wanted: string | RegExp): boolean {
    return typeof wanted === 'string' ? text === wanted : wanted.test(text ?? '')
  }

  async function start(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    const port = await freePort()
    const controller = new AbortController()
    controllers.push(controller)
    const child = execa(LOOPFLEET, [...args, '--port', String(port)], {
      cwd: folder.path,
      env: { PATH: process.env.PATH ?? '', HOME: folder.path, REDIS_URL: redis.url, ...env },
      extendEnv: false,
      reject: false,
      all: true,
      cancelSignal: controller.signal,
    })
    const probe = async (path: 'live' | 'ready') => {
      const answer = await fetch(`http://127.0.0.1:${port}/health/${path}`, { headers: { connection: 'close' } })
      return { status: answer.status, body: (await answer.json()) as { ready?: boolean; reason?: string } }
    }
    /** Waits until `/health/ready` gives this reason, or 200 for null; the part lives all the time. */
    const readiness = (reason: string | RegExp | null) =>
      until(
        `ready is answered with ${reason ?? '200'}`,
        async () => {
          const [live, ready] = await Promise.all([probe('live'), probe('ready')]).catch(() => [])
          if (live === undefined || ready === undefined) return false // it does not listen yet
          expect(live.status).to.equal(200)
          return reason === null ? ready.status === 200 : ready.status === 503 && matches(ready.body.reason, reason)
        },
        30_000,
      )
    return { child, port, probe, readiness }
  }

  for (const [name, args, needsRedis] of [
    ['trainer', ['trainer', trainer], true],
    ['converter', ['converter', converter, '--no-worker'], true],
    ['annotator', ['annotator'], false],
  ] as const) {
    it(`say what a ${name} waits for, and 503 while it ends`, async () => {
      const loopPort = await freePort()
      if (needsRedis) await redis.kill()
      const { child, port, readiness } = await start(args, { LOOP_HOST: `127.0.0.1:${loopPort}` })
      if (needsRedis) {
        await readiness('The node is starting.')
        expect(await switchOn(port)).to.equal(503)
        await redis.start()
      }
      await readiness(NOT_CONNECTED)
      const loop = await startLocalLoop({ folder: join(folder.path, 'loop'), port: loopPort }, { log })
      try {
        await readiness(null)
        if (needsRedis) {
          await redis.kill()
          await readiness(/^Redis is unreachable: .+\.$/)
          await redis.start()
          await readiness(null)
        }
        const request = await unfinishedRequest(port)

        child.kill('SIGTERM')
        await readiness('The server is stopping.')

        expect(await request.finish()).to.match(/^HTTP\/1\.1 200 /)
        expect((await child).exitCode).to.equal(0)
      } finally {
        await loop.close()
      }
    })
  }

  it('say that a dashboard waits for Redis, without its token', async () => {
    const { readiness } = await start(['dashboard'], { LOOPFLEET_DASHBOARD_TOKEN: 'a-token-of-this-test' })
    await readiness(null)

    await redis.kill()
    await readiness(/^Redis is unreachable: .+\.$/)
    await redis.start()
    await readiness(null)
  })

  it('say that a detector has no model, while the Loop is away too', async () => {
    const place = { LOOP_ORGANIZATION: 'zauberzeug', LOOP_PROJECT: 'demo' }
    const { probe, readiness } = await start(['detector'], { LOOP_HOST: '127.0.0.1:1', ...place })
    await until('it answers', () => probe('live').catch(() => undefined), 30_000)

    const { status, body } = await probe('ready')

    expect(status).to.equal(503)
    expect(body.reason).to.match(/^No model is loaded: .+\.$/)
    await readiness(body.reason ?? '')
  })

  it('say that a local Loop is ready', async () => {
    const { readiness } = await start(['loop'])

    await readiness(null)
  })
})

async function switchOn(port: number): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${port}/socketio`, { method: 'PUT', body: 'on' })
  return answer.status
}

/** A request of which the last byte is still missing. */
async function unfinishedRequest(port: number) {
  const socket = connect(port, '127.0.0.1')
  let answer = ''
  socket.on('data', (chunk) => (answer += String(chunk)))
  await once(socket, 'connect')
  socket.write('PUT /socketio HTTP/1.1\r\nhost: localhost\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\no')
  return {
    async finish() {
      socket.write('n')
      await once(socket, 'close')
      return answer
    },
  }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  await new Promise((resolve) => server.close(resolve))
  return port
}
