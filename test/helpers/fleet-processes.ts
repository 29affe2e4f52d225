import { readFile } from 'node:fs/promises'
import { listProcesses, visitEnvironments } from '../../src/process/proc.js'

/** In the environment of every process of ours that a fleet started; programs do not inherit it. */
export const FLEET_VARIABLE = 'LOOPFLEET_TEST_FLEET'

/** Living processes with a variable whose value fits: of a host by LOOPFLEET_OWNER, of a data folder by its path. */
export async function processesWith(name: string, fits: (value: string) => boolean): Promise<number[]> {
  const found: number[] = []
  await visitEnvironments(name, (pid, value) => {
    if (pid !== process.pid && fits(value)) found.push(pid)
  })
  const living = new Set((await listProcesses()).filter(({ isZombie }) => !isZombie).map(({ pid }) => pid))
  return found.filter((pid) => living.has(pid))
}

/** The process and everything below it, its own end first. */
export async function processTreeOf(pid: number): Promise<number[]> {
  const all = await listProcesses()
  const below = (parent: number): number[] =>
    all.filter(({ parentPid }) => parentPid === parent).flatMap((child) => [child.pid, ...below(child.pid)])
  return [pid, ...below(pid)]
}

/** The process that does the work of a part, below its small parent. */
export async function commandPidOf(parent: number): Promise<number> {
  const child = (await listProcesses()).find(({ parentPid }) => parentPid === parent)
  if (child === undefined) throw new Error(`The parent ${parent} has no child.`)
  return child.pid
}

/** The command lines of processes, for messages. */
export async function describeProcesses(pids: readonly number[]): Promise<string> {
  const lines = pids.map(async (pid) => {
    const text = await readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => 'gone by now')
    return `${pid} (${text.replaceAll('\0', ' ').trim()})`
  })
  return (await Promise.all(lines)).join(', ')
}

/** SIGKILL; what has ended already is fine. */
export function killAll(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // gone by itself
    }
  }
}
