import { readdir, readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { execa } from 'execa'
import { silentLogger } from '../../src/base/logger/logger.js'
import { startLocalLoop } from '../../src/mock/loop/index.js'
import { type EmbeddedRedis, startRedisServer } from '../../src/queue/embedded-redis/redis-server.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'
import { until } from '../helpers/until.js'
import { startOwnRedis } from '../queue/own-redis.js'
import { packageRoot } from './run-cli.js'

const LOOPFLEET = join(packageRoot, 'dist/src/cli/launch/loopfleet.sh')
const trainer = fileURLToPath(new URL('../fixtures/trainers/quick/trainer.yaml', import.meta.url))
const converter = fileURLToPath(new URL('../fixtures/converters/a-to-b/converter.yaml', import.meta.url))
const log = silentLogger()
const SECRET = 'pass-of-redis'

describe('a part', function () {
  this.timeout(60_000)
  const folder = useTemporaryFolder()
  let redis: EmbeddedRedis
  const controllers: AbortController[] = []

  beforeEach(async () => {
    redis = await startRedisServer({ folder: join(folder.path, 'redis') }, { log })
  })
  afterEach(async () => {
    for (const controller of controllers.splice(0)) controller.abort()
    await redis.close()
  })

  function start(args: readonly string[], env: Readonly<Record<string, string>>) {
    const controller = new AbortController()
    controllers.push(controller)
    const child = execa(LOOPFLEET, [...args], {
      cwd: folder.path,
      env: { PATH: process.env.PATH ?? '', HOME: folder.path, REDIS_URL: redis.url, ...env },
      extendEnv: false,
      reject: false,
      all: true,
      cancelSignal: controller.signal,
    })
    let output = ''
    child.all.on('data', (chunk) => (output += String(chunk)))
    return { child, output: () => output, says: (words: string) => until(words, () => output.includes(words), 30_000) }
  }

  const account = { LOOP_USERNAME: 'lab', LOOP_PASSWORD: 'right' }
  const startLoop = (options: { port?: number; password?: string } = {}) =>
    startLocalLoop({ folder: join(folder.path, 'loop'), username: 'lab', password: 'right', ...options }, { log })

  for (const command of [['trainer', trainer], ['annotator'], ['converter', converter, '--no-worker']]) {
    it(`${command[0]} ends with the code of the error when the Loop refuses its password`, async () => {
      const loop = await startLoop({ password: 'another' })
      try {
        const { child, output } = start(command, { LOOP_HOST: loop.host, ...account })

        expect((await child).exitCode).to.equal(1)
        expect(output()).to.match(/check LOOP_USERNAME and LOOP_PASSWORD\. \[LF_LOOP_LOGIN\]$/m)
        expect(output()).to.not.include('is ready').and.not.include('right')
      } finally {
        await loop.close()
      }
    })
  }

  it('trainer is ready only when the Loop is there, and says what it waits for', async () => {
    const { port, close } = await freePort()
    await close()
    const { child, output, says } = start(['trainer', trainer], { LOOP_HOST: `127.0.0.1:${port}`, ...account })
    await says(`loopfleet trainer is waiting: The Loop did not answer POST`)
    expect(output()).to.include(`nothing listens on 127.0.0.1 port ${port}`).and.not.include('is ready')

    const loop = await startLoop({ port })
    try {
      await says('loopfleet trainer is ready')
      child.kill('SIGTERM')
      expect((await child).exitCode).to.equal(0)
    } finally {
      await loop.close()
    }
  })

  it('converter is ready only when the Loop is there, and says what it waits for', async () => {
    const { port, close } = await freePort()
    await close()
    const { child, output, says } = start(['converter', converter, '--no-worker'], {
      LOOP_HOST: `127.0.0.1:${port}`,
      ...account,
    })
    await says('loopfleet converter is waiting: The Loop did not answer')
    expect(output()).to.not.include('is ready')

    const loop = await startLoop({ port })
    try {
      await says('loopfleet converter is ready')
      child.kill('SIGTERM')
      expect((await child).exitCode).to.equal(0)
    } finally {
      await loop.close()
    }
  })

  it('up and its parts print nothing of the password of Redis', async () => {
    const own = await startOwnRedis(folder.path)
    await own.call('CONFIG', 'SET', 'requirepass', SECRET)
    const loop = await startLoop()
    try {
      const env = { LOOP_HOST: loop.host, ...account, REDIS_URL: `${own.url}/?password=${SECRET}` }
      const { child, output, says } = start(['up', '--trainer', trainer, '--gpus', 'none', '--port', '0'], env)
      await says('loopfleet up is ready')
      child.kill('SIGTERM')
      await child

      expect(output()).to.match(/^loopfleet up is ready .*"redis":"redis:.*127\.0\.0\.1/m)
      expect(output()).to.not.include(SECRET)
      expect(await textsOf(join(folder.path, 'data/logs')))
        .to.include('is ready')
        .and.not.include(SECRET)
    } finally {
      await loop.close()
      await own.close()
    }
  })

  it('logs the settings that it reads, each with its source', async () => {
    const data = join(folder.path, 'elsewhere')
    const env = { HOST: '127.0.0.1:1', LOOPFLEET_LOCK_MS: '4000' }
    const { says, output } = start(['worker', '--trainer', trainer, '--data', data, '--gpus', 'none'], env)
    await says('"settings"')

    const line =
      output()
        .split('\n')
        .find((text) => text.includes('"settings"')) ?? ''
    const { settings } = JSON.parse(line)

    expect(settings).to.include({
      LOOP_HOST: '127.0.0.1:1 from HOST',
      DATA_FOLDER: `${data} from --data`,
      LOOPFLEET_LOCK_MS: '4000 from LOOPFLEET_LOCK_MS',
      LOOPFLEET_LEND_PLACE_SECONDS: '120 by default',
      REDIS_URL: '*** from REDIS_URL',
    })
    expect(settings).not.to.have.any.keys('SYNC_CYCLES', 'MAX_OUTBOX_SIZE', 'TRAINER_IDLE_TIMEOUT_SEC', 'NODE_PORT')
  })

  it('worker is ready with Redis alone', async () => {
    const { child, says } = start(['worker', '--trainer', trainer, '--gpus', 'none'], { LOOP_HOST: '127.0.0.1:9' })

    await says('loopfleet worker is ready')

    child.kill('SIGTERM')
    expect((await child).exitCode).to.equal(0)
  })

  it('detector listens without a model and a Loop, says what it waits for, and is not ready', async () => {
    const env = { LOOP_HOST: '127.0.0.1:9', LOOP_ORGANIZATION: 'zauberzeug', LOOP_PROJECT: 'demo' }
    const { child, output, says } = start(['detector', '--port', '0'], env)

    await says(
      'loopfleet detector is waiting: no model is loaded yet; one must be deployed to zauberzeug/demo at the Loop',
    )

    expect(output()).to.include('loopfleet detector is listening').and.not.include('is ready')
    child.kill('SIGTERM')
    expect((await child).exitCode).to.equal(0)
  })

  it('trainer ends immediately on SIGTERM while it waits for the Loop', async () => {
    const { child, says } = start(['trainer', trainer], { LOOP_HOST: '127.0.0.1:9' })
    await says('is waiting')
    const askedAt = performance.now()

    child.kill('SIGTERM')

    expect((await child).exitCode).to.equal(0)
    expect(performance.now() - askedAt).to.be.below(9000)
  })
})

async function textsOf(folder: string): Promise<string> {
  const files = await readdir(folder)
  return (await Promise.all(files.map((file) => readFile(join(folder, file), 'utf8')))).join('\n')
}

async function freePort() {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return { port, close: () => new Promise((resolve) => server.close(resolve)) }
}
