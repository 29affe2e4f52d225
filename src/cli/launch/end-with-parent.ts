import process from 'node:process'

const CHECK_MS = 1000

/**
 * Ends this process when its parent has been killed. The kernel does that too where setpriv knows --pdeathsig; no
 * part may live on without the process that passes signals to it.
 */
export function endWithParent(): void {
  const parent = process.ppid
  setInterval(() => {
    if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL')
  }, CHECK_MS).unref()
}
