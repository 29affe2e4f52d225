import { cp, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { expect } from 'chai'
import type { Command } from 'commander'
import { silentLogger } from '../../src/base/logger/logger.js'
import { createProgram } from '../../src/cli/program.js'
import { createFleet } from '../../src/queue/fleet/fleet.js'
import { createTrainings } from '../../src/queue/trainings/trainings.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'
import { anOrder, seatA } from '../queue/orders.js'
import { startRedisFixture } from '../queue/redis-fixture.js'
import { playTrainings } from '../queue/trainings/kept.js'
import { type CliEnd, packageRoot, runCli } from './run-cli.js'

const quick = join(packageRoot, 'test/fixtures/trainers/quick/trainer.yaml')

describe('the commands of loopfleet', function () {
  this.timeout(60_000)
  const folder = useTemporaryFolder()
  const run = (args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
    runCli(args, { cwd: folder.path, env })

  it('all answer --help with 0', async () => {
    const commands = commandLines(createProgram())
    expect(commands).to.deep.include(['trainings', 'logs'])

    for (const command of commands) {
      const { exitCode, stdout } = await helpHere(command)
      expect(exitCode, command.join(' ')).to.equal(0)
      expect(stdout).to.contain(`Usage: loopfleet ${command.join(' ')}`)
    }
    const { exitCode, stdout } = await run(['trainings', 'logs', '--help'])
    expect(exitCode).to.equal(0)
    expect(stdout).to.contain('Usage: loopfleet trainings logs')
  })

  it('tell the version of the package', async () => {
    const { stdout } = await run(['--version'])

    expect(stdout).to.match(/^\d+\.\d+\.\d+$/)
  })

  describe('refuse in one sentence', () => {
    it('a trainer file that is not there, naming it', async () => {
      for (const args of [
        ['worker', '--trainer', 'nope.yaml'],
        ['trainer', 'nope.yaml'],
        ['up', '--trainer', 'nope.yaml'],
      ]) {
        expectSentence(await run(args, { REDIS_URL: 'redis://127.0.0.1:1' }), /nope\.yaml cannot be read/)
      }
      const end = await run(['converter', 'nope.yaml'])
      expectSentence(end, /nope\.yaml cannot be read/)
      expect(end.exitCode).to.equal(2)
    })

    it('an unknown key of a trainer file, naming it', async () => {
      await cp(quick, join(folder.path, 'bad.yaml'))
      await writeFile(join(folder.path, 'bad.yaml'), 'epochz: 3\n', { flag: 'a' })

      expectSentence(await run(['worker', '--trainer', 'bad.yaml']), /epochz/)
    })

    it('two trainers of one name', async () => {
      const end = await run(['up', '--trainer', quick, '--trainer', quick])

      expectSentence(end, /Two trainers have the name "quick"/)
    })

    it('a port that is none', async () => {
      expectSentence(await run(['loop', '--port', '70000']), /'70000' is invalid.*between 0 and 65535/)
      expectSentence(await run(['dashboard', '--port', 'http']), /'http' is invalid/)
    })

    it('a port that is taken, naming it', async () => {
      const server = createServer()
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      const { port } = server.address() as { port: number }

      const end = await run(['loop', '--port', String(port)], { LOOPFLEET_LOG_LEVEL: 'warn' })
      server.close()

      expectSentence(end, new RegExp(`Another program listens on 127.0.0.1:${port}`))
    })

    it('a data folder that cannot be one', async () => {
      await writeFile(join(folder.path, 'file'), '')

      const [loop, redis, demo] = await Promise.all([
        run(['loop', '--port', '0', '--data', 'file/loop']),
        run(['redis', '--data', 'file/redis']),
        run(['demo', '--data', 'file/demo']),
      ])

      expectSentence(loop, /file\/loop cannot be used/)
      expectSentence(redis, /file\/redis.* cannot be used/)
      expectSentence(demo, /file\/demo.* cannot be used/)
    })

    it('a data folder where nobody may make one, instead of trying indefinitely', async () => {
      expectSentence(await run(['loop', '--port', '0', '--data', '/proc/loop']), /\/proc\/loop cannot be used/)
    })

    it('a fault that is none', async () => {
      expectSentence(await run(['loop', '--fault', '{']), /--fault \{ is not usable/)
      expectSentence(await run(['loop', '--fault', '{"match":{},"kind":"flood"}']), /kind: Invalid option/)
    })

    it('a missing REDIS_URL, with the way out', async () => {
      const lines = [['status'], ['trainings'], ['dashboard'], ['worker', '--trainer', quick], ['trainer', quick]]
      for (const end of await Promise.all(lines.map((args) => run(args)))) {
        expectSentence(end, /set REDIS_URL, or start everything on this machine with `loopfleet up`/)
      }
    })

    it('a Redis that is not there or no address of one', async () => {
      const [missing, none] = await Promise.all([
        run(['status'], { REDIS_URL: 'redis://127.0.0.1:1' }),
        run(['status'], { REDIS_URL: 'localhost:6379' }),
      ])

      expectSentence(missing, /127\.0\.0\.1:1 cannot be used/)
      expectSentence(none, /REDIS_URL is no Redis address/)
    })

    it('a variable that cannot be what it says, without showing a secret', async () => {
      expectSentence(await run(['status'], { LOOPFLEET_LOCK_MS: 'soon' }), /LOOPFLEET_LOCK_MS: "soon"/)
      expectSentence(await run(['status'], { LOOP_PROTOCOL: '0.9' }), /LOOP_PROTOCOL: "0.9"/)
      const end = await run(['dashboard'], { LOOPFLEET_DASHBOARD_TOKEN: 'hush' })
      expectSentence(end, /LOOPFLEET_DASHBOARD_TOKEN/)
      expect(end.stderr).not.to.contain('hush')
    })

    it('a command, an option or an argument that does not exist', async () => {
      expectSentence(await run(['trian']), /unknown command 'trian'/)
      expectSentence(
        await run(['trainings', 'a/b#7']),
        /unknown command 'trainings a\/b#7'; there are show, logs, retry/,
      )
      expectSentence(await run(['status', '--jsn']), /unknown option '--jsn'/)
      expectSentence(await run(['up']), /There is nothing to do: give --trainer FILE or --converter FILE/)
      expectSentence(await run(['trainings', 'show']), /missing required argument 'id'/)
    })
  })

  describe('with a Redis', () => {
    let redis: Awaited<ReturnType<typeof startRedisFixture>>
    before(async () => {
      redis = await startRedisFixture()
    })
    after(() => redis.close())

    it('print what programs can read', async () => {
      const env = { REDIS_URL: redis.server.url }

      const [trainings, status] = [await run(['trainings', '--json'], env), await run(['status', '--json'], env)]

      expect(JSON.parse(trainings.stdout)).to.deep.equal([])
      expect(JSON.parse(status.stdout)).to.have.keys(
        'redis',
        'hosts',
        'noHost',
        'nodes',
        'queues',
        'trainings',
        'conversions',
        'warnings',
      )
    })

    it('show when things were, and say that what has ended is not stopped', async () => {
      const env = { REDIS_URL: redis.server.url }
      const trainings = playTrainings(redis)
      const answer = await trainings.accept({ order: anOrder(), seat: seatA, trainer: 'quick' })
      if (answer.outcome === 'refused') throw new Error(answer.reason)
      const { training } = answer
      await trainings.finish(training.id, null, { outcome: 'aborted' })

      const [shown, stopped] = [
        await run(['trainings', 'show', training.id], env),
        await run(['trainings', 'stop', training.id], env),
      ]

      expect(shown.stdout).to.match(/^endedAt +20\d\d-\d\d-\d\dT[\d:.]+Z$/m)
      expect(stopped.stdout).to.equal(`It had ended before, so nothing was done: ${training.id}`)
    })

    it('read and end trainings ', async () => {
      const env = { REDIS_URL: redis.server.url }
      const trainings = createTrainings(redis.link, {}, { log: silentLogger() })
      const answer = await trainings.accept({ order: anOrder({ trainingNumber: 8 }), seat: seatA, trainer: 'quick' })
      if (answer.outcome === 'refused') throw new Error(answer.reason)
      const { id } = answer.training

      const listed = await run(['trainings'], env)
      const status = await run(['status', '--json'], env)
      const aborted = await run(['trainings', 'abort', id], env)

      expect(listed.stdout).to.match(new RegExp(`^${id} .*waiting for a host`, 'm'))
      expect(JSON.parse(status.stdout).trainings).to.deep.equal({ waiting: { quick: 1 } })
      expect(aborted.stdout).to.equal(`Ended, since no host had it: ${id}`)
      expect(await trainings.load(id)).to.include({ outcome: 'aborted' })
    })

    it('give the reason for which a training has no log', async () => {
      const env = { REDIS_URL: redis.server.url }
      const fleet = createFleet(redis.link)
      const answer = await playTrainings(redis).accept({
        order: anOrder({ trainingNumber: 9 }),
        seat: seatA,
        trainer: 'quick',
      })
      if (answer.outcome === 'refused') throw new Error(answer.reason)
      const { id } = answer.training
      const logs = async () => (await run(['trainings', 'logs', id], env)).stdout

      const unserved = await logs()
      const host = { hostId: 'lab', pid: 1, trainers: ['quick'], places: 2, free: 0 }
      await fleet.announceHost(host, { ttlMs: 60_000 })
      const busy = await logs()

      expect(unserved).to.match(
        /^\[loopfleet: .*#9 waits for a host: none takes trainings of quick now; `loopfleet hosts`/,
      )
      expect(busy).to.match(/^\[loopfleet: .*#9 waits for a free place: lab has 0 of 2 places free\.\]$/)
    })

    it('refuse an unknown training, and a Loop host that is none', async () => {
      const env = { REDIS_URL: redis.server.url }

      expectSentence(await run(['trainings', 'show', 'a/b#3'], env), /There is no training "a\/b#3"/)
      expectSentence(await run(['trainer', quick], { ...env, LOOP_HOST: 'a b' }), /Loop's host must be .* got "a b"/)
    })

    it('refuse to show the dashboard to everybody', async () => {
      const end = await run(['dashboard', '--host', '0.0.0.0'], { REDIS_URL: redis.server.url })

      expectSentence(end, /0\.0\.0\.0.*set LOOPFLEET_DASHBOARD_TOKEN/)
    })
  })
})

function expectSentence({ exitCode, stderr }: CliEnd, sentence: RegExp): void {
  expect(stderr).to.match(sentence)
  expect(exitCode, stderr).to.be.oneOf([1, 2])
  expect(stderr, 'a stack trace').not.to.match(/^\s+at |\\n {4}at /m)
}

/** `--help` of a command in this process: to start one for each command takes seconds. */
async function helpHere(command: readonly string[]): Promise<{ exitCode: number | undefined; stdout: string }> {
  const program = createProgram()
  let stdout = ''
  for (const each of [program, ...subcommandsOf(program)])
    each.exitOverride().configureOutput({
      writeOut(text) {
        stdout += text
      },
    })
  const end = await program.parseAsync([...command, '--help'], { from: 'user' }).then(
    () => undefined,
    (error: unknown) => error,
  )
  return { exitCode: Object(end).exitCode, stdout } // a CommanderError
}

function subcommandsOf(command: Command): Command[] {
  return command.commands.flatMap((sub) => [sub, ...subcommandsOf(sub)])
}

/** `['status']`, `['trainings', 'logs']` …: every command and subcommand. */
function commandLines(command: Command, path: readonly string[] = []): string[][] {
  return command.commands.flatMap((sub) => [[...path, sub.name()], ...commandLines(sub, [...path, sub.name()])])
}
