import { performance } from 'node:perf_hooks'
import process from 'node:process'
import { condemnNow, type NativeGuard } from './native-guard.js'

export type ThreadState =
  /** At work, within its time. */
  | 'busy'
  /** At work, but its pool is closed and does not wait for it any more. */
  | 'left'
  /** Inside native code after its time is over, where it cannot be ended. It keeps a core busy and its memory. */
  | 'lost'

/** How many lost threads a process bears; with so many, only a new process helps. */
export const MOST_LOST_THREADS = 3
/** How long the exit of a process waits for threads that are within their time. */
const EXIT_WAIT_MS = 5000

const threads = new Map<NativeGuard, ThreadState>()
const onLost = new Set<() => void>()
let isListening = false

/** Notes the state of a thread, from the start of its task on; undefined when it is free, or has exited. */
export function noteThread(guard: NativeGuard, state: ThreadState | undefined): void {
  if (state === undefined) threads.delete(guard)
  else threads.set(guard, state)
  if (!isListening) process.on('exit', makeSafeToExit)
  isListening = true
  if (state === 'lost') for (const callback of onLost) callback()
}

export function threadState(guard: NativeGuard): ThreadState | undefined {
  return threads.get(guard)
}

/** How many threads of this process are lost now. */
export function lostThreadCount(): number {
  return [...threads.values()].filter((state) => state === 'lost').length
}

/** Resolves when so many threads are lost that this process should be replaced; never if `signal` aborts before. */
export function tooManyThreadsLost(signal: AbortSignal, most = MOST_LOST_THREADS): Promise<void> {
  return new Promise((resolve) => {
    const check = () => {
      if (lostThreadCount() >= most) resolve()
    }
    onLost.add(check)
    signal.addEventListener('abort', () => onLost.delete(check), { once: true })
    check()
  })
}

/** Threads that are lost, or at work for a pool that is closed. They keep the process alive until they have exited. */
export function unendedThreadCount(): number {
  return [...threads.values()].filter((state) => state !== 'busy').length
}

// A process that exits ends its threads wherever they are, which aborts it if one is inside an addon. It also waits for
// them, so that with one that never ends it would never end either.
function makeSafeToExit(): void {
  const giveUpAt = performance.now() + EXIT_WAIT_MS
  for (const [guard, state] of threads) {
    const waitMs = state === 'busy' ? Math.max(0, giveUpAt - performance.now()) : 0
    if (!condemnNow(guard, waitMs)) process.kill(process.pid, 'SIGKILL')
  }
}
