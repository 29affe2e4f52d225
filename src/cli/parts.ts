import { join } from 'node:path'
import process from 'node:process'
import { LoopfleetError } from '../base/index.js'
import type { Logger } from '../base/logger/index.js'
import { type Program, startProgram } from '../process/index.js'
import { launchCommand } from './launch/launch.js'
import { withoutNodeAddress } from './node-address.js'
import { parseReadyLine, parseWaitingLine, type ReadyFacts } from './ready-line.js'

/** Its parent ends a part after 9 s. */
const PART_GRACE_MS = 10_000

/** A part of the fleet did not start; its last lines say why. */
export class PartNotStartedError extends LoopfleetError {
  static {
    this.prototype.name = 'PartNotStartedError'
  }
  constructor(part: string, lastLines: readonly string[]) {
    const last = lastLines.filter((line) => line.trim() !== '').at(-1) ?? 'it said nothing'
    super('LF_PART_NOT_STARTED', `The ${part} did not start: ${last}`, { details: { part, lastLines } })
  }
}

export type Part = {
  readonly name: string
  readonly facts: ReadyFacts
  readonly program: Program
}

export type PartOptions = {
  /** `worker`, `loop` …: a command of this program. */
  readonly name: string
  /** Distinguishes two parts of one name; the name itself by default. */
  readonly label?: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** Its output goes to `<logFolder>/<label>.log`. */
  readonly logFolder: string
}

export type PartDeps = {
  readonly log: Logger
  readonly signal?: AbortSignal
  /** Called with the reason when the part waits for something before it is ready; a warning in the log by default. */
  readonly onWaiting?: (reason: string) => void
}

/**
 * Starts a command of this program as a process of its own and waits until it says that it is ready. It ends with us,
 * in whatever way we end. Throws LF_PART_NOT_STARTED when it ends before it is ready, also when the signal ended it.
 */
export async function startPart(options: PartOptions, deps: PartDeps): Promise<Part> {
  const { name, label = name, args, env, logFolder } = options
  const { log, onWaiting = (reason) => log.warn({ part: label, reason }, 'part is waiting') } = deps
  deps.signal?.throwIfAborted()
  let tellFacts: (facts: ReadyFacts) => void = () => undefined
  const facts = new Promise<ReadyFacts>((resolve) => {
    tellFacts = resolve
  })
  const program = await startProgram(
    {
      command: launchCommand([name, ...args]),
      cwd: process.cwd(),
      env: withoutNodeAddress(env),
      logFile: join(logFolder, `${label}.log`),
      owner: `loopfleet-part:${process.pid}:${label}`,
      graceMs: PART_GRACE_MS,
      onOutput(line) {
        const ready = parseReadyLine(line)
        if (ready?.part === name) tellFacts(ready.facts)
        const reason = parseWaitingLine(line)
        if (reason !== undefined) onWaiting(reason)
      },
    },
    deps,
  )
  const ended = program.exited.then(() => undefined)
  const endEarly = () => void program.end()
  deps.signal?.addEventListener('abort', endEarly, { once: true })
  if (deps.signal?.aborted === true) endEarly()
  const known = await Promise.race([facts, ended])
  deps.signal?.removeEventListener('abort', endEarly)
  if (known === undefined) throw new PartNotStartedError(name, program.lastLines())
  return { name, facts: known, program }
}
