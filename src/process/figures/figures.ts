import pidusage from 'pidusage'
import { helperEnvironment, withEnvironment } from '../../base/index.js'
import { listProcesses } from '../index.js'

export type TreeFigures = {
  /** Of one core, so that two busy cores are 200; 0 at the first look at a program. */
  readonly cpuPercent: number
  /** Resident memory; what processes share is counted for each. */
  readonly memoryBytes: number
}

/** A process, its descendants and the members of its group, the process itself first; empty when it is gone. */
export async function processTree(pid: number): Promise<number[]> {
  const processes = (await listProcesses()).filter((entry) => !entry.isZombie)
  if (!processes.some((entry) => entry.pid === pid)) return []
  const children = new Map<number, number[]>()
  for (const entry of processes) children.set(entry.parentPid, [...(children.get(entry.parentPid) ?? []), entry.pid])
  const members = processes.filter((entry) => entry.group === pid).map((entry) => entry.pid)
  const tree = new Set([pid, ...members])
  // A set is walked in the order of insertion, also over what is added on the way.
  for (const member of tree) for (const child of children.get(member) ?? []) tree.add(child)
  return [...tree]
}

/** CPU and memory of the whole tree since the last look; null when the program is gone. */
export async function treeFigures(pid: number): Promise<TreeFigures | null> {
  const tree = await processTree(pid)
  if (tree.length === 0) return null
  // It starts `getconf` the first time. What ends between the two looks has no figures; when all have ended, pidusage throws.
  const usage = await withEnvironment(helperEnvironment(), () => pidusage(tree)).catch(() => ({}))
  const figures = Object.values<pidusage.Status | undefined>(usage).filter((one) => one !== undefined)
  if (figures.length === 0) return null
  return {
    cpuPercent: figures.reduce((sum, one) => sum + one.cpu, 0),
    memoryBytes: figures.reduce((sum, one) => sum + one.memory, 0),
  }
}
