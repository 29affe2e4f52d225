import { hasCode } from '../base/index.js'
import { listProcesses } from './proc.js'

/** Sends a signal to a process group; false when nobody is left in it. */
export function signalGroup(group: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-group, signal)
  } catch (error) {
    if (hasCode(error, 'ESRCH')) return false
    if (hasCode(error, 'EPERM')) return true // there, but somebody else's (a set-uid program)
    throw error
  }
}

/** The pids in a process group that still do something; zombies do not count. */
export async function livingMembers(group: number): Promise<number[]> {
  if (!signalGroup(group, 0)) return [] // the common case costs one system call
  const processes = await listProcesses()
  return processes.filter((entry) => entry.group === group && !entry.isZombie).map(({ pid }) => pid)
}
