import { setTimeout as sleep } from 'node:timers/promises'
import { hasCode } from '../base/files.js'
import { listEnvironment } from './proc.js'

/** Who a program belongs to, as `<host>:<workerPid>:<trainingId>.<run>`; inherited by all it starts. */
export const OWNER_VARIABLE = 'LOOPFLEET_OWNER'
/** One started program; inherited like the owner. */
export const PROGRAM_VARIABLE = 'LOOPFLEET_PROGRAM'

const PASSES = 20
const BETWEEN_PASSES_MS = 20

/**
 * Kills (SIGKILL) every process whose LOOPFLEET_OWNER matches, never this one, and answers their pids. Finds what
 * left its process group, but not what cleared its environment.
 */
export async function sweepOwned(match: (owner: string) => boolean): Promise<number[]> {
  return sweep(OWNER_VARIABLE, match)
}

/** As sweepOwned, for what one started program has left behind. */
export async function sweepProgram(mark: string): Promise<number[]> {
  return sweep(PROGRAM_VARIABLE, (value) => value === mark)
}

async function sweep(variable: string, match: (value: string) => boolean): Promise<number[]> {
  const killed = new Set<number>()
  // Again until nothing is found: a process may fork between our look and our signal.
  for (let pass = 0; pass < PASSES; pass++) {
    const marked = (await listEnvironment(variable)).filter(({ value }) => value !== '' && match(value))
    const targets = marked.map(({ pid }) => pid).filter((pid) => pid !== process.pid)
    if (targets.length === 0) break
    for (const pid of targets) if (kill(pid)) killed.add(pid)
    await sleep(BETWEEN_PASSES_MS)
  }
  return [...killed]
}

function kill(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGKILL')
  } catch (error) {
    if (hasCode(error, 'ESRCH', 'EPERM')) return false
    throw error
  }
}
