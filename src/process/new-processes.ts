import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'

/** How many processes and threads this machine had started at a moment; undefined where it does not say. */
export type StartCount = number | undefined

export async function countStarts(): Promise<StartCount> {
  const count = /^processes (\d+)$/m.exec(await read('/proc/stat'))?.[1]
  return count === undefined ? undefined : Number(count)
}

/** Ids in use are passed over when ids are given; so many at most, or we look at all. */
const PASSED_OVER = 1000

/**
 * Which processes can have started after `pid`, which itself started after the count. Linux gives ids in a circle, so
 * that they lie between it and the last id given, unless the circle has gone round since; then, or when the figures
 * do not fit together, it can be every process.
 */
export async function startedAfter(pid: number, countBefore: StartCount): Promise<(pid: number) => boolean> {
  const everyone = () => true
  // The last id first: what starts between the two looks is then counted, and more is no harm.
  const lastId = Number(readAtOnce('/proc/loadavg').trim().split(' ').at(-1))
  const size = Number(readAtOnce('/proc/sys/kernel/pid_max'))
  const count = await countStarts()
  if (countBefore === undefined || count === undefined || !(lastId > 0 && size > lastId && size > pid)) return everyone
  const started = count - countBefore
  const distance = (id: number) => (id - pid + size) % size
  if (started < 1 || started > size / 4 || distance(lastId) > started + PASSED_OVER) return everyone
  // What comes to life while we look has an id behind the last one; it is let through, too.
  const farthest = distance(lastId) + PASSED_OVER
  return (id) => distance(id) <= farthest
}

// A line that the kernel has at hand: reading it takes less than asking another thread to.
function readAtOnce(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}

async function read(path: string): Promise<string> {
  return readFile(path, 'latin1').catch(() => '')
}
