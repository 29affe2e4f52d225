import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

// So deep that no path is short enough to name its end.
const DEEP = `
import os, sys
os.chdir(sys.argv[1])
for _ in range(30):
    os.mkdir('d' * 200)
    os.chdir('d' * 200)
open('end', 'w').close()
`

/**
 * Makes something below the folder that this project cannot delete, for root and everybody else alike: a file behind a
 * path that is longer than the system takes. Give it back by `release`.
 */
export async function makeUndeletable(folder: string): Promise<{ release(): Promise<void> }> {
  await run('python3', ['-c', DEEP, folder])
  return {
    async release() {
      await run('rm', ['-rf', folder])
    },
  }
}
