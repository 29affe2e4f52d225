import { readFileSync } from 'node:fs'
import { visitEnvironments } from '../../src/process/proc.js'

/** Whether the process still does something; a zombie does not. */
export function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return !/^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2))
  } catch {
    return false // not there
  }
}

/** The pids of all that carry this owner's mark. */
export async function livingOf(owner: string): Promise<number[]> {
  const pids: number[] = []
  await visitEnvironments('LOOPFLEET_OWNER', (pid, value) => {
    if (value === owner) pids.push(pid)
  })
  return pids
}

/** The number in a line such as `escaped 4711`. */
export function pidIn(line: string): number {
  return Number(/\d+/.exec(line)?.[0])
}
