import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { silentLogger } from '../../src/base/logger/logger.js'
import { type Program, type ProgramOptions, startProgram } from '../../src/process/program.js'
import { sweepOwned } from '../../src/process/sweep.js'
import { rejection } from '../helpers/rejection.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'
import { until } from '../helpers/until.js'
import { isAlive, livingOf, pidIn } from './processes.js'

const OWNER = `test:${process.pid}:program.1`
const MARGIN_MS = 1000
/** Python itself; a version manager's shell script before it would add processes and time. */
const PATH = '/usr/local/bin:/usr/bin:/bin'

describe('a started program', () => {
  const folder = useTemporaryFolder()

  afterEach(() => sweepOwned((owner) => owner === OWNER))

  const start = (fixture: string, args: string[] = [], more: Partial<ProgramOptions> = {}): Promise<Program> =>
    startProgram(
      {
        command: ['python3', fixturePath(fixture), ...args],
        cwd: folder.path,
        env: { PATH },
        logFile: join(folder.path, 'logs', 'program.log'),
        owner: OWNER,
        ...more,
      },
      { log: silentLogger() },
    )
  const says = (program: Program, word: string): Promise<string> =>
    until(word, () => program.lastLines().find((line) => line.startsWith(word)))

  describe('at its start', () => {
    it('gets its arguments unchanged, whatever a shell would make of them', async () => {
      const args = ['$(touch x)', '`id`', 'a b', "it's", '"', '', '*', '-n', '; exit 7', 'ü\n']

      const program = await start('tells-its-world.py', args)

      expect((await worldOf(program, folder.path)).arguments).to.deep.equal(args)
    })

    it('sees only the given environment, the two marks and its folder', async () => {
      const program = await start('tells-its-world.py', [], { env: { PATH, LANG: 'C.UTF-8' } })

      const { environment, folder: cwd } = await worldOf(program, folder.path)
      // Node itself hands this one on to every child while coverage is measured.
      const { NODE_V8_COVERAGE: _, ...seen } = environment
      expect(seen).to.have.all.keys('PATH', 'LANG', 'LOOPFLEET_OWNER', 'LOOPFLEET_PROGRAM', 'PWD')
      expect(environment.LOOPFLEET_OWNER).to.equal(OWNER)
      expect(cwd).to.equal(folder.path)
    })

    it('leads its own group, has no child, ignores no signal and does not hold the life-line', async () => {
      const program = await start('tells-its-world.py')

      const world = await worldOf(program, folder.path)
      expect(world.group).to.equal(world.pid).and.to.equal(program.pid)
      expect(world.children).to.deep.equal([])
      expect(world.ignored_signals & TERM_AND_INT).to.equal(0)
      expect(world.files['0']).to.equal('/dev/null')
      expect(world.files['2']).to.equal(world.files['1'])
      expect(Object.values(world.files).filter((file) => file.startsWith('socket:'))).to.have.lengthOf(2)
    })

    it('is named in the error when it is not on the PATH', async () => {
      const error = await rejection(start('', [], { command: ['no-such-trainer', 'x'] }))

      expect(error).to.include({ code: 'LF_PROGRAM_NOT_FOUND', failure: 'fatal' })
      expect(error.message).to.include('"no-such-trainer"')
    })

    it('is not found when the file may not be executed, is a folder or has an impossible name', async () => {
      await writeFile(join(folder.path, 'notes.txt'), 'no program')

      for (const name of ['./notes.txt', '/tmp', './missing.sh', '', 'a\0b']) {
        const error = await rejection(start('', [], { command: [name] }))
        expect(error, name).to.include({ code: 'LF_PROGRAM_NOT_FOUND' })
      }
    })

    it('is refused clearly when its folder is missing or its arguments are too long', async () => {
      const noFolder = await rejection(start('', [], { command: ['sh'], cwd: join(folder.path, 'gone') }))
      const tooLong = await rejection(start('', [], { command: ['sh', 'x'.repeat(3_000_000)] }))

      expect(noFolder).to.include({ code: 'LF_PROGRAM_NOT_STARTED' })
      expect(noFolder.message).to.include('gone')
      expect(tooLong).to.include({ code: 'LF_PROGRAM_NOT_STARTED' })
    })
  })

  describe('at its own end', () => {
    it('answers its exit code, also one above 128', async () => {
      for (const code of [0, 3, 127, 143, 255]) {
        const program = await start('ends-itself.py', ['exit', String(code)])
        expect(await program.exited).to.deep.equal({ exitCode: code, signal: null, endedByUs: false })
      }
    })

    it('answers the signal that ended it', async () => {
      const program = await start('ends-itself.py', ['signal', '11'])

      expect(await program.exited).to.deep.equal({ exitCode: null, signal: 'SIGSEGV', endedByUs: false })
    })

    it('leaves output and errors in the order they were written, after what earlier programs wrote', async () => {
      const logFile = join(folder.path, 'logs', 'program.log')

      await (await start('ends-itself.py', ['exit', '0'])).exited
      const second = await start('ends-itself.py', ['exit', '0'])
      await second.exited

      expect(await readFile(logFile, 'utf8')).to.equal('out\nerr\nout\nerr\n')
      expect(second.lastLines()).to.deep.equal(['out', 'err'])
    })

    it('has no child left that it forgot, and is not waited for longer than the grace', async () => {
      const program = await start('leaves-a-child.py', [], { graceMs: 300 })
      const child = pidIn(await says(program, 'left'))

      const startedAt = performance.now()
      const exit = await program.exited

      expect(exit).to.deep.equal({ exitCode: 0, signal: null, endedByUs: false })
      expect(isAlive(child)).to.equal(false)
      expect(performance.now() - startedAt).to.be.below(300 + MARGIN_MS)
    })

    it('has no daemon left that went into a session of its own', async () => {
      const program = await start('calls-setsid.py', ['exit'], { graceMs: 300 })
      const daemon = pidIn(await says(program, 'escaped'))

      await program.exited

      expect(isAlive(daemon)).to.equal(false)
    })
  })

  describe('that is ended by us', () => {
    it('may save its work first', async () => {
      const program = await start('ends-politely.py')
      await says(program, 'ready')

      const exit = await program.end()

      expect(exit).to.deep.equal({ exitCode: 0, signal: null, endedByUs: true })
      expect(program.lastLines()).to.deep.equal(['ready', 'saved'])
    })

    it('is killed with its children after the grace when it ignores SIGTERM', async () => {
      const program = await start('ignores-sigterm.py', [], { graceMs: 300 })
      await until('both are ready', () => program.lastLines().length === 2)
      const [parent = 0, child = 0] = program.lastLines().map(pidIn)

      const startedAt = performance.now()
      const exit = await program.end()

      expect(exit).to.deep.equal({ exitCode: null, signal: 'SIGKILL', endedByUs: true })
      expect([isAlive(parent), isAlive(child)]).to.deep.equal([false, false])
      expect(performance.now() - startedAt).to.be.within(300, 300 + MARGIN_MS)
    })

    it('is killed sooner when a second call is less patient', async () => {
      const program = await start('ignores-sigterm.py', [], { graceMs: 60_000 })
      await says(program, 'ready')

      void program.end()
      const exit = await program.end({ graceMs: 0 })

      expect(exit).to.include({ signal: 'SIGKILL', endedByUs: true })
    })

    it('ends also when it was stopped', async () => {
      const program = await start('ends-politely.py')
      await says(program, 'ready')
      process.kill(program.pid, 'SIGSTOP')

      expect(await program.end()).to.include({ exitCode: 0, endedByUs: true })
    })

    it('takes its daemons along, which hold its output and ignore SIGTERM', async () => {
      const program = await start('calls-setsid.py', [], { graceMs: 300 })
      const daemon = pidIn(await says(program, 'escaped'))

      await program.end()

      expect(isAlive(daemon)).to.equal(false)
    })

    it('takes a chain of successors along that fork from session to session', async () => {
      const program = await start('forks-a-successor-for-ever.py', [], { graceMs: 300 })
      await says(program, 'ready')

      await program.end()

      expect(await livingOf(OWNER)).to.deep.equal([])
    })

    it('answers the same end to every call, also after it', async () => {
      const program = await start('ends-itself.py', ['exit', '5'])
      await program.exited

      const ends = await Promise.all([program.end(), program.end()])

      expect(ends[0]).to.deep.equal({ exitCode: 5, signal: null, endedByUs: false })
      expect(ends[1]).to.equal(ends[0])
    })

    it('ends in the very moment it was started', async () => {
      const program = await start('ends-politely.py')

      expect(await program.end()).to.include({ endedByUs: true })
      expect(await livingOf(OWNER)).to.deep.equal([])
    })
  })

  describe('that floods its log', () => {
    const MAX_LOG_BYTES = 256 * 1024

    for (const kind of ['lines', 'no-newline', 'only-cr', 'binary']) {
      it(`keeps first and last bytes of ${kind} in a bounded file`, async () => {
        const program = await start('floods-its-log.py', [kind, '30'], { maxLogBytes: MAX_LOG_BYTES })
        await program.exited

        const { size } = await stat(join(folder.path, 'logs', 'program.log'))
        const text = await readFile(join(folder.path, 'logs', 'program.log'), 'latin1')
        expect(size).to.be.at.most(MAX_LOG_BYTES)
        expect(text.startsWith('THE-FIRST-BYTES\n')).to.equal(true)
        expect(text.endsWith('\nTHE-LAST-BYTES')).to.equal(true)
        expect(text).to.match(/\n\[loopfleet: +\d+ bytes were cut out here\]\n/)
        expect(program.lastLines().at(-1)).to.equal('THE-LAST-BYTES')
      })
    }

    it('grows the worker by less than 50 MB, however long it floods', async () => {
      const highestOf = async (megabytes: number) => {
        let highest = process.memoryUsage().rss
        const program = await start('floods-its-log.py', ['no-newline', String(megabytes)], {
          maxLogBytes: MAX_LOG_BYTES,
          onOutput: () => {
            highest = Math.max(highest, process.memoryUsage().rss)
          },
        })
        await program.exited
        return highest
      }
      const control = await highestOf(30) // with what Node and its garbage collector take in any case

      const highest = await highestOf(300)

      expect((highest - control) / 1024 / 1024).to.be.below(50)
    })
  })

  it('goes on when its log cannot be written', async () => {
    const program = await start('ends-itself.py', ['exit', '0'], { logFile: '/dev/full' })

    expect(await program.exited).to.include({ exitCode: 0 })
    expect(program.lastLines()).to.deep.equal(['out', 'err'])
  })

  it('goes on when the listener of its output throws', async () => {
    const program = await start('ends-itself.py', ['exit', '0'], {
      onOutput: () => {
        throw new Error('a bad listener')
      },
    })

    expect(await program.exited).to.include({ exitCode: 0 })
  })
})

const TERM_AND_INT = (1 << 14) | (1 << 1)

type World = {
  readonly arguments: string[]
  readonly environment: Record<string, string>
  readonly folder: string
  readonly pid: number
  readonly group: number
  readonly files: Record<string, string>
  readonly ignored_signals: number
  readonly children: string[]
}

async function worldOf(program: Program, folder: string): Promise<World> {
  await program.exited
  return JSON.parse(await readFile(join(folder, 'logs', 'program.log'), 'utf8'))
}

function fixturePath(name: string): string {
  return fileURLToPath(new URL(`../fixtures/programs/${name}`, import.meta.url))
}
