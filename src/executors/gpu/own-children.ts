import { readdirSync, readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { hasCode } from '../../base/index.js'

/** The direct children of this process. Synchronous, so that nothing else can be started between two looks. */
export function ownChildren(): Set<number> {
  try {
    const tasks = readdirSync('/proc/self/task')
    return new Set(tasks.flatMap((task) => readChildren(`/proc/self/task/${task}/children`)))
  } catch {
    return new Set() // no /proc here: then nobody is found, and nobody is ended
  }
}

function readChildren(path: string): number[] {
  try {
    return toPids(readFileSync(path, 'latin1'))
  } catch {
    return [] // the thread has ended, or the kernel does not list children
  }
}

/** Ends a process and its descendants immediately; what is gone already is fine. */
export async function killTree(pid: number): Promise<void> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'latin1').catch(() => '')
  for (const child of toPids(children)) await killTree(child)
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if (!hasCode(error, 'ESRCH')) throw error
  }
}

function toPids(text: string): number[] {
  return text.trim().split(/\s+/).filter(Boolean).map(Number)
}
