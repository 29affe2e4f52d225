import process from 'node:process'
import { condemn, type NativeGuard } from './native-guard.js'

const lost = new Set<NativeGuard>()

/**
 * Notes a thread that does not come back from native code. It cannot be ended, keeps a core busy and its memory, and is
 * left to itself: no pool waits for it any more. `over` resolves if it comes back after all.
 */
export function leaveThread(guard: NativeGuard, over: Promise<void>): void {
  if (lost.size === 0) process.on('exit', endProcess)
  lost.add(guard)
  void over.then(() => {
    lost.delete(guard)
    if (lost.size === 0) process.removeListener('exit', endProcess)
  })
}

/** How many threads of this process are lost now. */
export function lostThreadCount(): number {
  return lost.size
}

/** For the end of a process that has closed everything: lost threads would keep it alive, so it is ended. */
export function exitDespiteLostThreads(): void {
  if (lost.size > 0) process.exit()
}

// A process that exits waits for its threads, so with one that never ends it would never end either.
function endProcess(): void {
  const stuck = [...lost].filter((guard) => !condemn(guard))
  if (stuck.length > 0) process.kill(process.pid, 'SIGKILL')
}
