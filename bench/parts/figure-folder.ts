import { access, constants, mkdtemp, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import type { Figure } from '../figure.js'

const MEMORY_DISK = '/dev/shm'
const ROOM_BYTES = 4 * 2 ** 30

/** A folder of its own for a figure, below `TMPDIR` where that is set. */
export async function makeFigureFolder({ name, offDisk = false }: Figure): Promise<string> {
  const base = offDisk && process.env.TMPDIR === undefined && (await hasMemoryDisk()) ? MEMORY_DISK : tmpdir()
  return await mkdtemp(join(base, `loopfleet-bench-${name}-`))
}

async function hasMemoryDisk(): Promise<boolean> {
  try {
    await access(MEMORY_DISK, constants.W_OK)
    const { bavail, bsize } = await statfs(MEMORY_DISK)
    return bavail * bsize >= ROOM_BYTES
  } catch {
    return false
  }
}
