import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isLasting } from '../../src/cli/launch/launch.js'
import { parseListeningLine, parseReadyLine, type ReadyFacts } from '../../src/cli/ready-line.js'
import { commandPidOf } from './fleet-processes.js'
import { until } from './until.js'

/** A command of the compiled program, running as a process of its own. */
export type CliProcess = {
  readonly name: string
  /** Of the command itself, below its parent. */
  readonly pid: number
  readonly facts: ReadyFacts
  readonly exited: Promise<CliExit>
  readonly hasExited: boolean
  /** Sends the signal and waits for the end. */
  kill(signal: NodeJS.Signals): Promise<CliExit>
  /** SIGTERM, and SIGKILL when that does not end it; seconds is how long it took, less what it waited for a core. */
  end(): Promise<CliExit & { readonly seconds: number }>
  /** What it printed so far. */
  log(): Promise<string>
}

/** Of a command that has ended by itself, and how long it ran. */
export type CliRun = CliExit & { readonly output: string; readonly seconds: number }

export type CliExit = { readonly exitCode: number | null; readonly signal: NodeJS.Signals | null }

export type CliOptions = {
  readonly args: readonly [string, ...string[]]
  /** The complete environment. */
  readonly env: Readonly<Record<string, string>>
  /** Output and errors together. */
  readonly logFile: string
  /** The folder of another compiled program. */
  readonly program?: string
}

const READY_WITHIN_MS = 30_000
const END_WITHIN_MS = 20_000
const cli = import.meta.url.endsWith('.ts') ? '../../dist/src/cli' : '../../src/cli'
const PROGRAM = fileURLToPath(new URL(cli, import.meta.url))
/** The compiled program. */
export const MAIN = join(PROGRAM, 'main.js')

/** Starts a command and waits until it says that it is ready; fails with its last lines when it ends before. */
export async function startCli(options: CliOptions): Promise<CliProcess> {
  const started = spawnCli(options)
  const { child, exited, log } = started
  const name = options.args[0]
  const facts = await until(
    `${name} is ready`,
    async () => {
      const lines = (await log()).split('\n')
      const parse = name === 'detector' ? parseListeningLine : parseReadyLine // ready is one that has a model
      const ready = lines.map(parse).find((line) => line?.part === name)
      if (ready !== undefined) return ready.facts
      if (child.exitCode !== null) throw new Error(`${name} ended before it was ready: ${lines.slice(-6).join('\n')}`)
      return undefined
    },
    READY_WITHIN_MS,
  ).catch((error: unknown) => {
    child.kill('SIGKILL')
    throw error
  })
  const kill = (signal: NodeJS.Signals): Promise<CliExit> => {
    child.kill(signal)
    return exited
  }
  const pid = await commandPidOf(child.pid ?? 0)
  return {
    name,
    pid,
    facts,
    exited,
    log,
    get hasExited() {
      return child.exitCode !== null || child.signalCode !== null
    },
    kill,
    async end() {
      const startedAt = performance.now()
      const waited = watchWaitForCore(pid)
      const timer = setTimeout(() => child.kill('SIGKILL'), END_WITHIN_MS)
      const exit = await kill('SIGTERM')
      clearTimeout(timer)
      return { ...exit, seconds: (performance.now() - startedAt) / 1000 - waited.stop() }
    },
  }
}

/** Seconds in which the main thread of a process could run but other processes had the cores, from now until `stop`. */
function watchWaitForCore(pid: number): { stop(): number } {
  const read = () => {
    try {
      return Number(readFileSync(`/proc/${pid}/schedstat`, 'latin1').split(' ')[1]) / 1e9
    } catch {
      return undefined // it has ended
    }
  }
  const before = read() ?? 0
  let latest = before
  const look = () => {
    latest = Math.max(latest, read() ?? 0)
  }
  const timer = setInterval(look, 20)
  return {
    stop() {
      clearInterval(timer)
      return latest - before
    },
  }
}

/** Runs a command to its end. */
export async function runCli(options: CliOptions): Promise<CliRun> {
  const startedAt = performance.now()
  const { exited, log } = spawnCli(options)
  const exit = await exited
  return { ...exit, output: await log(), seconds: (performance.now() - startedAt) / 1000 }
}

type Started = { readonly child: ChildProcess; readonly exited: Promise<CliExit>; readonly log: () => Promise<string> }

function spawnCli({ args, env, logFile, program = PROGRAM }: CliOptions): Started {
  // A file and no pipe: what it left behind must not keep us waiting, and its last words survive it.
  const output = openSync(logFile, 'w')
  // The kernel ends it with us, so that nothing is left when a test run is killed.
  const launch = isLasting(args[0]) ? ['/bin/sh', join(program, 'launch/launch.sh')] : [] // as the command `loopfleet` does it
  const command = [...launch, process.execPath, join(program, 'main.js'), ...args]
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...command], {
    env: { ...env },
    stdio: ['ignore', output, output],
  })
  closeSync(output)
  const exited = new Promise<CliExit>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (exitCode, signal) => resolve({ exitCode, signal }))
  })
  return { child, exited, log: () => readFile(logFile, 'utf8') }
}
