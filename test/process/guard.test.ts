import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { listProcesses } from '../../src/process/proc.js'
import { sweepOwned } from '../../src/process/sweep.js'
import { type NodeScript, startNodeScript } from '../helpers/node-script.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'
import { until } from '../helpers/until.js'
import { isAlive, livingOf, pidIn } from './processes.js'

const OWNER = `test:${process.pid}:guard.1`
const GRACE_MS = 500
const PATH = '/usr/local/bin:/usr/bin:/bin'

describe('a program whose worker is killed with kill -9', () => {
  const folder = useTemporaryFolder()

  afterEach(() => sweepOwned((owner) => owner === OWNER))

  const startWorker = (fixture: string): Promise<NodeScript> =>
    startNodeScript(new URL('../fixtures/programs/starts-a-program', import.meta.url), [
      JSON.stringify({
        command: ['python3', fileURLToPath(new URL(`../fixtures/programs/${fixture}`, import.meta.url))],
        cwd: folder.path,
        env: { PATH },
        logFile: join(folder.path, 'program.log'),
        owner: OWNER,
        graceMs: GRACE_MS,
      }),
    ])
  const logged = (word: string): Promise<string> =>
    until(word, async () => {
      const text = await readFile(join(folder.path, 'program.log'), 'utf8')
      return text.includes(`${word}`) && text.endsWith('\n') ? text : undefined
    })
  const nobodyLeft = (): Promise<true> =>
    until('nobody left', async () => (await livingOf(OWNER)).length === 0, GRACE_MS + 1000)

  it('is asked to end, and ends', async () => {
    const worker = await startWorker('ends-politely.py')
    await logged('ready')

    await worker.kill('SIGKILL')

    await nobodyLeft()
    await until('the program is gone', () => !isAlive(pidIn(worker.firstLine)))
  })

  it('is killed with its children after the grace when it ignores SIGTERM', async () => {
    const worker = await startWorker('ignores-sigterm.py')
    await until('both are ready', async () => (await logged('ready')).split('\n').length === 3)
    expect(await livingOf(OWNER))
      .to.include(pidIn(worker.firstLine))
      .and.to.have.lengthOf(2)

    await worker.kill('SIGKILL')

    await nobodyLeft()
  })

  it('takes a daemon along that went into a session of its own', async () => {
    const worker = await startWorker('calls-setsid.py')
    const daemon = pidIn(await logged('escaped'))

    await worker.kill('SIGKILL')

    await nobodyLeft()
    await until('the daemon is gone', () => !isAlive(daemon))
  })

  it('is ended also when it has stopped itself', async () => {
    const worker = await startWorker('ends-politely.py')
    await logged('ready')
    process.kill(pidIn(worker.firstLine), 'SIGSTOP')

    await worker.kill('SIGKILL')

    await nobodyLeft()
  })

  it('leaves no watcher behind', async () => {
    const worker = await startWorker('ends-politely.py')
    await logged('ready')
    const group = String(pidIn(worker.firstLine))
    expect(await watchersOf(group)).to.have.lengthOf(1)

    await worker.kill('SIGKILL')

    await until('no watcher', async () => (await watchersOf(group)).length === 0, GRACE_MS + 2000)
  })
})

describe('the guard', () => {
  const guard = fileURLToPath(new URL('../../src/process/guard.sh', import.meta.url))

  it('does nothing to the group after the word that all is over', async () => {
    const child = spawn('/bin/sh', [guard, 'run', '5', 'sleep', '60'], {
      stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
      detached: true,
    })
    const ended = once(child, 'exit')
    await until('the watcher', async () => (await watchersOf(String(child.pid))).length === 1)
    const lifeLine = child.stdio[3]
    if (lifeLine === null || lifeLine === undefined || !('end' in lifeLine)) throw new Error('no life-line')

    lifeLine.end('over\n')

    await until('the watcher has gone', async () => (await watchersOf(String(child.pid))).length === 0)
    expect(child.exitCode).to.equal(null)
    expect(child.signalCode).to.equal(null)
    child.kill('SIGKILL')
    await ended
  })
})

async function watchersOf(group: string): Promise<string[]> {
  const commands = (await listProcesses()).map(({ pid }) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''))
  return (await Promise.all(commands)).filter((command) => command.includes(`\0watch\0${group}\0`))
}
