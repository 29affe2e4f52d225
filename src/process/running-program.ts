import { performance } from 'node:perf_hooks'
import type { Readable, Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { hasCode } from '../base/index.js'
import type { Logger } from '../base/logger/index.js'
import { type StartCount, startedAfter } from './new-processes.js'
import { listProcesses } from './proc.js'
import type { ProgramOutput } from './program-output.js'
import { sweepProgram } from './sweep.js'

export type ProgramExit = {
  readonly exitCode: number | null
  readonly signal: string | null
  /** It was still running when `end` was called. */
  readonly endedByUs: boolean
}

/** The started process, which leads its group. */
export type Leader = {
  readonly pid: number
  readonly exit: Promise<{ readonly exitCode: number | null; readonly signal: string | null }>
  readonly output: Readable
  readonly lifeLine: Writable
  readonly channel: { readonly toProgram: Writable; readonly fromProgram: Readable } | undefined
}

type Options = { readonly mark: string; readonly graceMs: number; readonly startsBefore: StartCount }
type Deps = { readonly leader: Leader; readonly output: ProgramOutput; readonly log: Logger }

/** Between two checks of a group that is to end: twice as long each time, since most end immediately. */
const LOOK_FIRST_MS = 1
const LOOK_EVERY_MS = 25
const GUARD_LEAVES_MS = [1, 2, 4]
/** A process that outlives SIGKILL hangs in the kernel (a driver, a dead network disk). */
const UNKILLABLE_AFTER_MS = 10_000

export class RunningProgram {
  readonly pid: number
  readonly channel: Leader['channel']
  readonly exited: Promise<ProgramExit>
  readonly leaderExited: Promise<void>
  readonly #options: Options
  readonly #deps: Deps
  #leaderGone = false
  #endAsked = false
  /** When the group is killed; set by the first caller that ends it. */
  #killAt = Number.POSITIVE_INFINITY
  #ending: Promise<void> | undefined

  constructor(options: Options, deps: Deps) {
    this.pid = deps.leader.pid
    this.channel = deps.leader.channel
    this.#options = options
    this.#deps = deps
    this.leaderExited = deps.leader.exit.then(() => undefined)
    this.exited = this.#watch()
  }

  end(options: { readonly graceMs?: number } = {}): Promise<ProgramExit> {
    if (!this.#leaderGone) this.#endAsked = true
    void this.#endGroup(options.graceMs ?? this.#options.graceMs)
    return this.exited
  }

  lastLines(): string[] {
    return this.#deps.output.lastLines()
  }

  async #watch(): Promise<ProgramExit> {
    const { leader, output, log } = this.#deps
    const startedAt = performance.now()
    const { exitCode, signal } = await leader.exit
    this.#leaderGone = true
    await this.#endGroup(this.#options.graceMs) // what it left behind
    await this.#endEscaped()
    leader.lifeLine.end('over\n')
    await output.finish()
    leader.lifeLine.destroy()
    leader.channel?.toProgram.destroy()
    leader.channel?.fromProgram.destroy()
    const exit = { exitCode, signal, endedByUs: this.#endAsked }
    log.info({ pid: this.pid, ...exit, seconds: (performance.now() - startedAt) / 1000 }, 'program ended')
    return exit
  }

  #endGroup(graceMs: number): Promise<void> {
    this.#killAt = Math.min(this.#killAt, performance.now() + graceMs)
    this.#ending ??= this.#askThenKill()
    return this.#ending
  }

  async #askThenKill(): Promise<void> {
    if (this.#leaderGone) await this.#letGuardLeave()
    if (!(await this.#isAlive())) return
    signalGroup(this.pid, 'SIGTERM')
    signalGroup(this.pid, 'SIGCONT') // a stopped program cannot obey
    for (let pauseMs = LOOK_FIRST_MS; await this.#isAlive(); pauseMs = Math.min(2 * pauseMs, LOOK_EVERY_MS)) {
      if (performance.now() >= this.#killAt) return this.#kill()
      await sleep(pauseMs)
    }
  }

  // A program of milliseconds can end before its guard has left the group; then nobody needs to be asked to end, nor
  // all processes looked at.
  async #letGuardLeave(): Promise<void> {
    for (const pauseMs of GUARD_LEAVES_MS) {
      if (!hasGroup(this.pid)) return
      await sleep(pauseMs)
    }
  }

  async #kill(): Promise<void> {
    const giveUpAt = performance.now() + UNKILLABLE_AFTER_MS
    while (await this.#isAlive()) {
      signalGroup(this.pid, 'SIGKILL')
      if (performance.now() > giveUpAt) {
        this.#deps.log.error({ pid: this.pid }, 'a process of the group survives SIGKILL; the kernel holds it')
        return
      }
      await sleep(LOOK_EVERY_MS)
    }
  }

  async #endEscaped(): Promise<void> {
    const { log } = this.#deps
    try {
      const { mark, startsBefore } = this.#options
      const escaped = await sweepProgram(mark, await startedAfter(this.pid, startsBefore))
      if (escaped.length > 0) log.warn({ pid: this.pid, escaped }, 'processes that had left the group were killed')
    } catch (err) {
      log.error({ err, pid: this.pid }, 'processes that left the group not searched for') // as when no file can be opened
    }
  }

  async #isAlive(): Promise<boolean> {
    if (!this.#leaderGone) return true
    try {
      return (await livingMembers(this.pid)).length > 0
    } catch {
      return true // we could not look, so that the group is ended to be sure
    }
  }
}

function hasGroup(group: number): boolean {
  try {
    return signalGroup(group, 0)
  } catch {
    return true // the list of processes decides
  }
}

/** Sends a signal to a process group; false when nobody is left in it. */
function signalGroup(group: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-group, signal)
  } catch (error) {
    if (hasCode(error, 'ESRCH')) return false
    if (hasCode(error, 'EPERM')) return true // there, but somebody else's (a set-uid program)
    throw error
  }
}

/** The pids in a process group that still do something; zombies do not count. */
async function livingMembers(group: number): Promise<number[]> {
  if (!signalGroup(group, 0)) return [] // the common case costs one system call
  const processes = await listProcesses()
  return processes.filter((entry) => entry.group === group && !entry.isZombie).map(({ pid }) => pid)
}
