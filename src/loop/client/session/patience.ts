import { setMaxListeners } from 'node:events'

/**
 * Calls back once when the first of the signals is aborted, at once if one is already; the answer takes the listeners
 * off again.
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
    setMaxListeners(0, signal) // one signal ends hundreds of requests, and each takes its listener off again
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

/** The work's outcome for one of several who wait for it; only this one's waiting ends with the signal, not the work. */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work
  return new Promise((resolve, reject) => {
    const off = onAbort([signal], reject)
    work.then(resolve, reject).finally(off)
  })
}
