import process from 'node:process'
import { execa } from 'execa'

/**
 * Runs the work while at most so many bytes fit into the folder: on a small tmpfs where we may mount one, else under
 * a limit on the size of files, whose error comes from the same calls.
 */
export async function withLittleRoom(folder: string, bytes: number, work: () => Promise<void>): Promise<void> {
  const mounted = await execa('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', folder], { reject: false })
  if (mounted.exitCode !== 0) await limitFiles(`${bytes}`)
  try {
    await work()
  } finally {
    if (mounted.exitCode === 0) await execa('umount', ['--lazy', folder])
    else await limitFiles('unlimited')
  }
}

async function limitFiles(soft: string): Promise<void> {
  await execa('prlimit', [`--fsize=${soft}:`, '--pid', String(process.pid)])
}
