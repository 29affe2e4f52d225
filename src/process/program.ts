import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { stat } from 'node:fs/promises'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { LoopfleetError, messageOf } from '../base/index.js'
import type { Logger } from '../base/logger/index.js'
import { findProgram } from './find-program.js'
import { countStarts } from './new-processes.js'
import type { OutputReader } from './output/output-reader.js'
import { ProgramOutput } from './program-output.js'
import { type Leader, type ProgramExit, RunningProgram } from './running-program.js'
import { OWNER_VARIABLE, PROGRAM_VARIABLE } from './sweep.js'

export type ProgramOptions = {
  /** The program and its arguments; never a shell line. */
  readonly command: readonly [string, ...string[]]
  readonly cwd: string
  /** The complete environment of the program; nothing of ours is added but the two marks. */
  readonly env: Readonly<Record<string, string>>
  /** Output and errors are appended to it in the order they were written. */
  readonly logFile: string
  /** The value of LOOPFLEET_OWNER, by which a later worker finds what this one left behind. */
  readonly owner: string
  /** From SIGTERM to SIGKILL. */
  readonly graceMs?: number
  readonly maxLogBytes?: number
  /** Reads the output beside the file; without it `onOutput` gets the lines. */
  readonly reader?: OutputReader
  /** Called whenever the program has printed something. */
  readonly onActivity?: () => void
  /** Each line, also of those that end in a carriage return; a line without end comes in pieces. */
  readonly onOutput?: (line: string) => void
  /** Gives the program two more pipes: it reads from file descriptor 4 what we write, we read what it writes to 5. */
  readonly hasChannel?: boolean
}

/** Our ends of the two pipes; neither throws when the program is gone. */
type ProgramChannel = { readonly toProgram: Writable; readonly fromProgram: Readable }

export type Program = {
  /** Only with `hasChannel`. */
  readonly channel: ProgramChannel | undefined
  readonly pid: number
  /** Resolves, never rejects, when the program and all it started are gone and the log is complete. */
  readonly exited: Promise<ProgramExit>
  /** Resolves, never rejects, when the program itself has ended; what it has started may still run. */
  readonly leaderExited: Promise<void>
  /** SIGTERM to the group, grace, SIGKILL. May be called again, also with a shorter grace. */
  end(options?: { readonly graceMs?: number }): Promise<ProgramExit>
  /** At most the last 50 lines of its output. */
  lastLines(): string[]
}

/** The program is there, but the machine could not start it. */
class ProgramNotStartedError extends LoopfleetError {
  static {
    this.prototype.name = 'ProgramNotStartedError'
  }
  constructor(details: { readonly program: string; readonly problem: string }, cause?: unknown) {
    super('LF_PROGRAM_NOT_STARTED', `The program "${details.program}" could not be started: ${details.problem}.`, {
      details,
      cause,
      failure: 'program',
    })
  }
}

const GUARD = fileURLToPath(new URL('./guard.sh', import.meta.url))
const DEFAULT_GRACE_MS = 5000
const DEFAULT_LOG_BYTES = 50 * 1024 * 1024

/**
 * Starts an external program in a process group of its own, under a guard that ends the group when this process dies
 * in whatever way. Throws LF_PROGRAM_NOT_FOUND or LF_PROGRAM_NOT_STARTED.
 */
export async function startProgram(options: ProgramOptions, deps: { readonly log: Logger }): Promise<Program> {
  const { command, cwd, graceMs = DEFAULT_GRACE_MS, maxLogBytes = DEFAULT_LOG_BYTES } = options
  const [name] = command
  await assertFolder(cwd, name)
  const file = await findProgram(name, { cwd, path: options.env.PATH })
  const log = deps.log.child({ component: 'program', program: name })
  const output = await ProgramOutput.open({ ...options, maxLogBytes }, { log })
  try {
    const mark = randomUUID()
    const startsBefore = await countStarts()
    const leader = await spawnGuarded(options, { file, mark, graceMs })
    output.start(leader.output)
    log.info({ pid: leader.pid, owner: options.owner }, 'program started')
    return new RunningProgram({ mark, graceMs, startsBefore }, { leader, output, log })
  } catch (error) {
    await output.finish()
    throw error
  }
}

type Start = { readonly file: string; readonly mark: string; readonly graceMs: number }

async function spawnGuarded({ command, cwd, env, owner, hasChannel }: ProgramOptions, start: Start): Promise<Leader> {
  const [name, ...args] = command
  const marks = { [OWNER_VARIABLE]: owner, [PROGRAM_VARIABLE]: start.mark }
  try {
    const tenths = String(Math.ceil(start.graceMs / 100))
    const subprocess = spawn('/bin/sh', [GUARD, 'run', tenths, start.file, ...args], {
      cwd,
      env: { ...env, ...marks },
      detached: true, // its own session and group
      stdio: ['ignore', 'pipe', 'ignore', 'pipe', ...(hasChannel ? (['pipe', 'pipe'] as const) : [])],
    })
    const exit = new Promise<Awaited<Leader['exit']>>((resolve) => {
      subprocess.once('exit', (exitCode, signal) => resolve({ exitCode, signal }))
    })
    if (subprocess.pid === undefined) throw (await once(subprocess, 'error'))[0]
    subprocess.on('error', () => undefined) // only a signal by its own method could fail, and nobody sends one so
    const { pid, stdout } = subprocess
    if (stdout === null) throw new Error('the pipe of its output is missing')
    const pipes: readonly Pipe[] = subprocess.stdio
    const channel = hasChannel ? channelOf(pipes[4], pipes[5]) : undefined
    return { pid, exit, output: stdout, lifeLine: lifeLineOf(pipes[3]), channel }
  } catch (error) {
    throw new ProgramNotStartedError({ program: name, problem: messageOf(error) }, error)
  }
}

/** Our end of the guard's pipe; the kernel closes it when we die. */
function lifeLineOf(stream: Pipe): Writable {
  if (stream === null || stream === undefined || !('write' in stream)) throw new Error('the life-line is missing')
  stream.on('error', () => undefined) // the other end is gone: so is the guard, and with it the need for one
  return stream
}

type Pipe = Readable | Writable | null | undefined

function channelOf(toProgram: Pipe, fromProgram: Pipe): ProgramChannel {
  if (toProgram === null || toProgram === undefined || !('write' in toProgram)) throw new Error('a pipe is missing')
  if (fromProgram === null || fromProgram === undefined || !('read' in fromProgram))
    throw new Error('a pipe is missing')
  for (const stream of [toProgram, fromProgram]) stream.on('error', () => undefined) // `exited` reports its end
  return { toProgram, fromProgram }
}

async function assertFolder(cwd: string, program: string): Promise<void> {
  const found = await stat(cwd).catch((error: unknown) => {
    throw new ProgramNotStartedError({ program, problem: `its folder ${cwd} is not there` }, error)
  })
  if (!found.isDirectory()) throw new ProgramNotStartedError({ program, problem: `${cwd} is not a folder` })
}
