import { setMaxListeners } from 'node:events'

/**
 * Calls back once when the first of the signals is aborted, immediately if one is aborted already. Returns a function that
 * removes the listeners.
 */
export function onAbort(signals: readonly AbortSignal[], callback: (reason: unknown) => void): () => void {
  const off = () => {
    for (const signal of signals) signal.removeEventListener('abort', aborted)
  }
  const aborted = () => {
    off()
    callback(signals.find((signal) => signal.aborted)?.reason)
  }
  for (const signal of signals) {
    setMaxListeners(0, signal) // hundreds of requests listen to one signal, and each removes its listener
    signal.addEventListener('abort', aborted)
  }
  if (signals.some((signal) => signal.aborted)) aborted()
  return off
}

/** Waits, and throws the reason of the first of the signals that is aborted meanwhile. */
export function sleepUnlessAborted(ms: number, signals: readonly AbortSignal[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      off()
      resolve()
    }, ms)
    const off = onAbort(signals, (reason) => {
      clearTimeout(timer)
      reject(reason)
    })
  })
}

/** Waits for work that several callers share; the signal ends the wait of this caller, not the work. */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work
  return new Promise((resolve, reject) => {
    const off = onAbort([signal], reject)
    work.then(resolve, reject).finally(off)
  })
}
