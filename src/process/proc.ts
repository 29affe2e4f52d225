import { readdir, readFile } from 'node:fs/promises'

/** One process as the kernel shows it in /proc. */
export type ProcessEntry = {
  readonly pid: number
  readonly parentPid: number
  readonly group: number
  /** Ended, but not yet fetched by its parent: it does nothing any more. */
  readonly isZombie: boolean
}

const AT_ONCE = 32

/** All processes this process can see. What ends while we look is left out. */
export async function listProcesses(): Promise<ProcessEntry[]> {
  return mapPids(async (pid) => parseStat(pid, await readFile(`/proc/${pid}/stat`, 'latin1')))
}

/**
 * Shows the value of one environment variable of each process that was started with it, at the moment it was read, so
 * that the visitor meets the same process. Only of those processes whose id can be one.
 */
export async function visitEnvironments(
  name: string,
  visit: (pid: number, value: string) => void,
  canBe: (pid: number) => boolean = () => true,
): Promise<void> {
  await mapPids(async (pid) => {
    const value = findVariable(await readFile(`/proc/${pid}/environ`), name)
    if (value !== undefined) visit(pid, value)
  }, canBe)
}

async function mapPids<T>(
  look: (pid: number) => Promise<T | undefined>,
  canBe: (pid: number) => boolean = () => true,
): Promise<T[]> {
  const pids = (await readdir('/proc'))
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter(canBe)
  pids.reverse() // the newest first: they are the likeliest to be gone soon
  const found: T[] = []
  for (let start = 0; start < pids.length; start += AT_ONCE) {
    // Processes end while we look, and others belong to somebody else: those are none of ours.
    const looks = pids.slice(start, start + AT_ONCE).map((pid) => look(pid).catch(() => undefined))
    for (const result of await Promise.all(looks)) if (result !== undefined) found.push(result)
  }
  return found
}

function parseStat(pid: number, stat: string): ProcessEntry | undefined {
  // "pid (name) state ppid pgrp …", where the name may hold blanks and brackets
  const [state, parentPid, group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  if (state === undefined || parentPid === undefined || group === undefined) return undefined
  return { pid, parentPid: Number(parentPid), group: Number(group), isZombie: state === 'Z' || state === 'X' }
}

function findVariable(environment: Buffer, name: string): string | undefined {
  if (!environment.includes(`${name}=`)) return undefined
  const entry = environment
    .toString('utf8')
    .split('\0')
    .find((text) => text.startsWith(`${name}=`))
  return entry?.slice(name.length + 1)
}
