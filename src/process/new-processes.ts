import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'

/** Number of processes and threads that this machine had started at a time; undefined on systems without /proc. */
export type StartCount = number | undefined

export async function countStarts(): Promise<StartCount> {
  const count = /^processes (\d+)$/m.exec(await read('/proc/stat'))?.[1]
  return count === undefined ? undefined : Number(count)
}

/** Most ids in use that are expected to be skipped between two new ids; beyond it all processes are checked. */
const MAX_SKIPPED = 1000

/**
 * Which processes can have started after `pid`, which itself started after the count. Linux assigns ids in a circle, so
 * that they lie between it and the last assigned id, unless the circle has wrapped since; then, or if the numbers
 * do not fit together, it can be every process.
 */
export async function startedAfter(pid: number, countBefore: StartCount): Promise<(pid: number) => boolean> {
  const everyone = () => true
  // The last id first: a process that starts between the two reads is then counted, and a count too high does no harm.
  const lastId = Number(readSync('/proc/loadavg').trim().split(' ').at(-1))
  const size = Number(readSync('/proc/sys/kernel/pid_max'))
  const count = await countStarts()
  if (countBefore === undefined || count === undefined || !(lastId > 0 && size > lastId && size > pid)) return everyone
  const started = count - countBefore
  const distance = (id: number) => (id - pid + size) % size
  if (started < 1 || started > size / 4 || distance(lastId) > started + MAX_SKIPPED) return everyone
  // A process that starts meanwhile has an id after the last one; it is included too.
  const farthest = distance(lastId) + MAX_SKIPPED
  return (id) => distance(id) <= farthest
}

// Read synchronously: a short line of the kernel takes less time than a thread for it.
function readSync(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}

async function read(path: string): Promise<string> {
  return readFile(path, 'latin1').catch(() => '')
}
