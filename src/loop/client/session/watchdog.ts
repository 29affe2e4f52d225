import { onAbort } from './abort-signals.js'

/** Aborts an exchange when somebody asks for it or when nothing has moved for too long. */
export type Watchdog = {
  readonly signal: AbortSignal
  /** Something moved: the time runs again. */
  kick(): void
  /** We are waiting for nothing: the time stands still until the next kick. */
  rest(): void
  /** The exchange is over: no timer and no listener is left. */
  end(): void
  /** Why the signal was aborted, if it was. */
  cause(): WatchdogCause | undefined
}

type WatchdogCause =
  | { readonly kind: 'asked'; readonly reason: unknown }
  | { readonly kind: 'idle'; readonly idleMs: number }

// AbortSignal.any keeps every derived signal alive as long as its oldest source, which here lives as long as the
// program; listeners that are taken off again do not.
export function createWatchdog(options: {
  readonly idleMs: number
  readonly signals: readonly AbortSignal[]
}): Watchdog {
  const { idleMs, signals } = options
  const controller = new AbortController()
  let cause: WatchdogCause | undefined
  let timer: NodeJS.Timeout | undefined
  let ended = false

  function abort(why: WatchdogCause) {
    if (ended || cause !== undefined) return
    cause = why
    clearTimeout(timer)
    controller.abort()
  }
  const off = onAbort(signals, (reason) => abort({ kind: 'asked', reason }))

  return {
    signal: controller.signal,
    cause: () => cause,
    kick() {
      if (ended || cause !== undefined) return
      if (timer !== undefined) timer.refresh()
      else timer = setTimeout(() => abort({ kind: 'idle', idleMs }), idleMs)
    },
    rest() {
      clearTimeout(timer)
      timer = undefined
    },
    end() {
      ended = true
      clearTimeout(timer)
      off()
    },
  }
}
