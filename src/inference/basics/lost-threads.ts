import { performance } from 'node:perf_hooks'
import process from 'node:process'
import { RESTART_EXIT_CODE } from '../../base/index.js'
import { InferenceError } from './errors.js'
import { condemnNow, type NativeGuard } from './native-guard.js'

export type ThreadState =
  /** At work, within its time. */
  | 'busy'
  /** At work, but its pool is closed and does not wait for it any more. */
  | 'left'
  /** Inside native code after its time is over, where it cannot be ended. It keeps a core busy and its memory. */
  | 'lost'

/** With so many lost threads only a new process helps. */
const MOST_LOST_THREADS = 3
/** The same from a process that a lost thread keeps from exiting with a code. */
const RESTART_SIGNAL = 'SIGVTALRM'
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

/** Resolves with LF_THREADS_LOST when only a new process helps; never if `signal` aborts before. */
export function tooManyThreadsLost(signal: AbortSignal, most = MOST_LOST_THREADS): Promise<InferenceError> {
  return new Promise((resolve) => {
    const check = () => {
      const count = lostThreadCount()
      if (count < most) return
      const message = `${count} threads do not come back from native code; this process ends and is started again.`
      resolve(new InferenceError('LF_THREADS_LOST', message, { details: { count } }))
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
function makeSafeToExit(exitCode: number): void {
  const giveUpAt = performance.now() + EXIT_WAIT_MS
  for (const [guard, state] of threads) {
    const waitMs = state === 'busy' ? Math.max(0, giveUpAt - performance.now()) : 0
    if (condemnNow(guard, waitMs)) continue
    process.kill(process.pid, exitCode === RESTART_EXIT_CODE ? RESTART_SIGNAL : 'SIGKILL')
  }
}
