import { type ChildProcess, spawn } from 'node:child_process'
import { mkdir, readFile, realpath, symlink, writeFile } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { silentLogger } from '../../src/base/logger/logger.js'
import { shortCommands } from '../../src/cli/launch/launch.js'
import { createProgram } from '../../src/cli/program.js'
import { listProcesses } from '../../src/process/proc.js'
import { startRedisServer } from '../../src/queue/embedded-redis/redis-server.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'
import { times } from '../helpers/thorough.js'
import { until } from '../helpers/until.js'
import { packageRoot } from './run-cli.js'

const LOOPFLEET = join(packageRoot, 'dist/src/cli/launch/loopfleet.sh')
const MAIN = join(packageRoot, 'dist/src/cli/main.js')
const PARENT = join(packageRoot, 'dist/src/cli/launch/parent.sh')
const SPINS = fileURLToPath(new URL('../fixtures/launch/spins.mjs', import.meta.url))
const QUICK = fileURLToPath(new URL('../fixtures/trainers/quick/trainer.yaml', import.meta.url))

type Started = {
  readonly child: ChildProcess
  readonly output: () => string
  readonly ended: Promise<{
    readonly exitCode: number | null
    readonly signal: string | null
    readonly seconds: number
  }>
}

describe('a part and its small parent', function () {
  this.timeout(60_000)
  const folder = useTemporaryFolder()
  const started: Started[] = []

  afterEach(async () => {
    for (const { child } of started) if (child.pid !== undefined) killGroup(child.pid)
    await Promise.all(started.splice(0).map(({ ended }) => ended))
  })

  function start(command: readonly [string, ...string[]], env: Readonly<Record<string, string>> = {}): Started {
    const [program, ...args] = command
    const child = spawn(program, args, {
      cwd: folder.path,
      env: { PATH: process.env.PATH ?? '', HOME: folder.path, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true, // a group of its own, as a terminal makes it
    })
    const startedAt = performance.now()
    let text = ''
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (text += String(chunk)))
    const ended = new Promise<Awaited<Started['ended']>>((resolve) => {
      child.once('close', (exitCode, signal) =>
        resolve({ exitCode, signal, seconds: (performance.now() - startedAt) / 1000 }),
      )
    })
    const one = { child, output: () => text, ended }
    started.push(one)
    return one
  }

  const says = (one: Started, words: string) => until(words, () => one.output().includes(words), 30_000)
  const pidOf = (one: Started) => one.child.pid ?? 0
  const localLoop = ['loop', '--port', '0'] as const
  const ways = [
    ['loopfleet', [LOOPFLEET]],
    ['node main.js', [process.execPath, MAIN]],
  ] as const

  it('are started for all commands but those that answer and end', async () => {
    const script = await readFile(LOOPFLEET, 'utf8')
    const inScript = /^-\* \| (.*)\)$\n {2}exec node/m.exec(script)?.[1]?.split(' | ')
    const commands = createProgram().createHelp().visibleCommands(createProgram())

    expect(inScript).to.deep.equal(shortCommands)
    expect(commands.map((command) => command.name())).to.include.members([...shortCommands])
  })

  it('resolve symbolic links to packages', async () => {
    const HANDED = new URL('../../src/config/handed-environment.js', import.meta.url)
    for (const name of ['one', 'two']) {
      await mkdir(join(folder.path, 'store', name), { recursive: true })
      await writeFile(join(folder.path, 'store', name, 'index.js'), '')
    }
    await symlink(join(folder.path, 'store'), join(folder.path, 'node_modules'))
    const script = join(folder.path, 'resolves.mjs')
    const resolved = ['one', 'two'].map((name) => `console.log(import.meta.resolve('${name}/index.js'))`)
    const take = `import { takeHandedEnvironment } from '${HANDED}'\nconsole.log(takeHandedEnvironment())`
    await writeFile(script, [take, ...resolved].join('\n'))

    const part = start(['/bin/sh', join(packageRoot, 'dist/src/cli/launch/launch.sh'), process.execPath, script])
    await part.ended

    const store = join(await realpath(folder.path), 'store')
    expect(part.output()).to.equal(`true\nfile://${store}/one/index.js\nfile://${store}/two/index.js\n`)
  })

  for (const [name, words] of ways) {
    describe(`started as ${name}`, () => {
      const program = words[0]
      const startPart = (...args: readonly string[]) => start([program, ...words.slice(1), ...args])

      for (const signal of ['SIGTERM', 'SIGINT'] as const) {
        it(`end with 0 on ${signal}`, async () => {
          const part = startPart(...localLoop)
          await says(part, 'is ready')

          part.child.kill(signal)

          expect(await part.ended).to.include({ exitCode: 0, signal: null })
        })
      }

      it('count one Ctrl-C in a terminal, which reaches the whole group, as one signal', async () => {
        const part = startPart(...localLoop)
        await says(part, 'is ready')

        process.kill(-pidOf(part), 'SIGINT')

        expect(await part.ended).to.include({ exitCode: 0, signal: null })
        expect(part.output().match(/asked to end/g)).to.have.lengthOf(1)
      })

      it('end immediately on a second signal while the command is busy', async () => {
        const part = startPart('annotator', '--tool', SPINS)
        await says(part, 'spinning')
        part.child.kill('SIGTERM')
        await sleep(1_000) // within half a second it is the same signal
        const askedAt = performance.now()

        part.child.kill('SIGTERM')

        expect(await part.ended).to.include({ exitCode: 143, signal: null })
        expect(performance.now() - askedAt).to.be.below(2000)
      })

      for (const signal of (['SIGTERM', 'SIGINT'] as const).slice(0, times(1, 2))) {
        it(`count ${signal} from timeout, which signals them and then their group, as one signal`, async () => {
          const part = start(['timeout', '--preserve-status', '60', program, ...words.slice(1), ...localLoop])
          await says(part, 'is ready')

          part.child.kill(signal) // it passes the signal on as when the time is over

          expect(await part.ended).to.include({ exitCode: 0, signal: null })
        })
      }

      it('end immediately on another signal within half a second', async () => {
        const part = startPart('annotator', '--tool', SPINS)
        await says(part, 'spinning')
        const askedAt = performance.now()
        part.child.kill('SIGTERM')
        await sleep(150)

        part.child.kill('SIGINT')

        const { exitCode } = await part.ended
        expect(exitCode).to.be.oneOf([130, 143])
        expect(performance.now() - askedAt).to.be.below(2000)
      })

      it('end together when the parent is killed', async () => {
        const part = startPart(...localLoop)
        await says(part, 'is ready')

        part.child.kill('SIGKILL')

        expect(await part.ended).to.include({ exitCode: null, signal: 'SIGKILL' })
        await until('nobody is left', async () => (await membersOf(pidOf(part))).length === 0)
      })

      it('show that the command was killed by somebody else', async () => {
        const part = startPart(...localLoop)
        await says(part, 'is ready')
        const members = await membersOf(pidOf(part))

        process.kill(Math.max(...members), 'SIGKILL')

        expect(await part.ended).to.include({ exitCode: null, signal: 'SIGKILL' })
      })
    })
  }

  it('end on SIGINT also where a script started them in the background', async () => {
    const script = `"$0" loop --port 0 & echo "pid $!"; wait $!; echo "code $?"`
    const shell = start(['/bin/sh', '-c', script, LOOPFLEET])
    await says(shell, 'is ready')
    const pid = Number(/pid (\d+)/.exec(shell.output())?.[1])

    process.kill(pid, 'SIGINT')

    await shell.ended
    expect(shell.output()).to.include('code 0')
  })

  for (const afterMs of [20, 150]) {
    it(`count a signal to them, and ${afterMs} ms later to their group, as one signal`, async () => {
      const obeys = 'trap "sleep 1; exit 7" TERM; echo ready; while :; do sleep 0.1; done'
      const part = start(['/bin/sh', PARENT, 'sh', '-c', obeys])
      await says(part, 'ready')

      part.child.kill('SIGTERM')
      await sleep(afterMs)
      process.kill(-pidOf(part), 'SIGTERM')

      expect(await part.ended).to.include({ exitCode: 7, signal: null })
    })
  }

  it('leave nobody in their group when they end before the limit', async () => {
    const parts = Array.from({ length: 20 }, () => start(['/bin/sh', PARENT, 'sh', '-c', 'echo ready; exec sleep 60']))
    await Promise.all(parts.map((part) => says(part, 'ready')))

    for (const part of parts) process.kill(-pidOf(part), 'SIGTERM')
    await Promise.all(parts.map(({ ended }) => ended))

    expect((await Promise.all(parts.map((part) => membersOf(pidOf(part))))).flat()).to.deep.equal([])
  })

  it('obey a signal in whatever moment of their start it comes', async () => {
    let output = ''
    for (let delayMs = 0; delayMs < 20; delayMs += 0.25) {
      const part = start(['/bin/sh', PARENT, 'sleep', '60'])
      await sleep(delayMs)
      process.kill(-pidOf(part), 'SIGTERM')
      await part.ended
      output += part.output()
    }

    expect(output).to.not.include('did not end')
  })

  it('pass the exit code and the sentence of an error on', async () => {
    const part = start([LOOPFLEET, 'worker'])

    expect(await part.ended).to.include({ exitCode: 2, signal: null })
    expect(part.output()).to.include('A worker needs something to work on')
  })

  it('start a command again that ends with 75, or by SIGVTALRM, with the same environment', async () => {
    const lines =
      'echo "run"; [ -e twice ] && exit 5; [ -e once ] && { touch twice; kill -s VTALRM $$; }; touch once; exit 75'
    const shows = `LOOPFLEET_PARENT=1 cat <&4 | tr -d '[:space:]' | head -c 8; ${lines}`

    const part = start(['/bin/sh', '-c', `exec /bin/sh "$0" sh -c '${shows}' 4<<END\n61 62 63 64\nEND`, PARENT])

    expect(await part.ended).to.include({ exitCode: 5, signal: null })
    expect(part.output().split('\n').filter(Boolean)).to.deep.equal(Array(3).fill('61626364run'))
  })

  it('show no secret in their environments', async () => {
    const secrets = {
      LOOP_PASSWORD: 'first-secret',
      PASSWORD: 'second-secret',
      REDIS_URL: 'redis://:third-secret@127.0.0.1/?password=fourth-secret',
      LOOPFLEET_DASHBOARD_TOKEN: 'fifth-secret-of-16',
      WANDB_API_KEY: 'sixth-secret',
      SOMETHING: 'seventh-secret\nwith a "second" line',
    }
    const part = start([LOOPFLEET, ...localLoop], secrets)
    await says(part, 'is ready')

    const environments = await environmentsOf(await membersOf(pidOf(part)))

    expect(environments).to.have.lengthOf(2)
    expect(environments.join('\n')).to.not.include('secret')
  })

  describe('end 9 s after the first signal', () => {
    const endsInTime = async (part: Started): Promise<void> => {
      const askedAt = performance.now()
      part.child.kill('SIGTERM')
      const { exitCode } = await part.ended
      const seconds = (performance.now() - askedAt) / 1000
      expect(exitCode).to.be.oneOf([0, 137])
      expect(seconds).to.be.below(10)
      expect(await membersOf(pidOf(part))).to.deep.equal([])
    }

    it('although a module spins in the event loop', async () => {
      const part = start([LOOPFLEET, 'annotator', '--tool', SPINS])
      await says(part, 'spinning')

      await endsInTime(part)

      expect(part.output()).to.include('did not end within 9 s of the signal and was killed')
    })

    it('although Redis is stopped', async () => {
      const redis = await startRedisServer({ folder: join(folder.path, 'redis') }, { log: silentLogger() })
      try {
        const env = { REDIS_URL: redis.url, LOOP_HOST: '127.0.0.1:9' }
        const part = start([LOOPFLEET, 'worker', '--trainer', QUICK, '--gpus', 'none'], env)
        await says(part, 'is ready')
        process.kill(redis.pid, 'SIGSTOP')

        await endsInTime(part)
      } finally {
        process.kill(redis.pid, 'SIGCONT')
        await redis.close()
      }
    })

    it('although the Loop accepts connections and says nothing', async () => {
      const silent = await listenSilently()
      try {
        const env = { LOOP_HOST: silent.host, LOOP_USERNAME: 'lab', LOOP_PASSWORD: 'secret' }
        const part = start([LOOPFLEET, 'annotator'], env)
        await until('the Loop is asked', () => silent.connections() > 0, 30_000)

        await endsInTime(part)
      } finally {
        silent.close()
      }
    })
  })
})

async function listenSilently() {
  const sockets: Socket[] = []
  const server: Server = createServer((socket) => {
    sockets.push(socket)
    socket.on('error', () => undefined)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return {
    host: `127.0.0.1:${port}`,
    connections: () => sockets.length,
    close() {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}

async function membersOf(group: number): Promise<number[]> {
  const all = await listProcesses()
  return all.filter((one) => one.group === group && !one.isZombie).map(({ pid }) => pid)
}

function environmentsOf(pids: readonly number[]): Promise<string[]> {
  return Promise.all(pids.map((pid) => readFile(`/proc/${pid}/environ`, 'latin1')))
}

function killGroup(group: number): void {
  try {
    process.kill(-group, 'SIGKILL')
  } catch {
    // it has ended
  }
}
