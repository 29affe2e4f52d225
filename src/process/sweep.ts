import { setTimeout as sleep } from 'node:timers/promises'
import { hasCode } from '../base/index.js'
import { visitEnvironments } from './proc.js'

/** Who a program belongs to, as `<host>:<workerPid>:<trainingId>.<run>`; inherited by all it starts. */
export const OWNER_VARIABLE = 'LOOPFLEET_OWNER'
/** One started program; inherited like the owner. */
export const PROGRAM_VARIABLE = 'LOOPFLEET_PROGRAM'

const MAX_PASSES = 30
const BETWEEN_PASSES_MS = 20

/**
 * Kills (SIGKILL) every process whose LOOPFLEET_OWNER matches, never this one, and returns their pids. Finds what
 * left its process group, but not what cleared its environment.
 */
export async function sweepOwned(match: (owner: string) => boolean): Promise<number[]> {
  return sweep(OWNER_VARIABLE, match)
}

/** The pids of every process with this LOOPFLEET_OWNER. */
export async function findOwned(owner: string): Promise<number[]> {
  const found: number[] = []
  await visitEnvironments(OWNER_VARIABLE, (pid, value) => void (value === owner && found.push(pid)))
  return found
}

/** As sweepOwned, for what one started program has left behind; a first look goes to those that `canBe` allows. */
export async function sweepProgram(mark: string, canBe?: (pid: number) => boolean): Promise<number[]> {
  return sweep(PROGRAM_VARIABLE, (value) => value === mark, canBe)
}

async function sweep(
  variable: string,
  match: (value: string) => boolean,
  canBe?: (pid: number) => boolean,
): Promise<number[]> {
  const killed = new Set<number>()
  let emptyPasses = 0
  // Once something was found, until nothing is found twice: a process may fork between our look and our signal.
  for (let pass = 0; pass < MAX_PASSES && emptyPasses < (killed.size === 0 ? 1 : 2); pass++) {
    if (pass > 0) await sleep(BETWEEN_PASSES_MS)
    let found = 0
    const visit = (pid: number, value: string) => {
      if (pid === process.pid || value === '' || !match(value) || !kill(pid)) return
      killed.add(pid)
      found += 1
    }
    await visitEnvironments(variable, visit, pass === 0 ? canBe : undefined)
    emptyPasses = found === 0 ? emptyPasses + 1 : 0
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
