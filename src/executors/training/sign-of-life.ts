/** Watches that a program gives a sign of life from time to time: a line of output, or an event. */
export type SignOfLife = {
  seen(): void
  /** It gave none for too long. */
  readonly isMissing: boolean
  close(): void
}

/** Calls back once when there was no sign for so long; never without a limit. */
export function watchSignOfLife(limitMs: number | undefined, onMissing: () => void): SignOfLife {
  let lastAt = performance.now()
  let isMissing = false
  let timer: NodeJS.Timeout | undefined
  if (limitMs !== undefined) look(limitMs, limitMs)

  // A chatty program costs no timer per line: when the time is over, the rest since its last sign is waited for.
  function look(limit: number, inMs: number): void {
    timer = setTimeout(() => {
      const leftMs = limit - (performance.now() - lastAt)
      if (leftMs > 0) return look(limit, leftMs)
      isMissing = true
      onMissing()
    }, inMs)
  }

  return {
    seen() {
      lastAt = performance.now()
    },
    get isMissing() {
      return isMissing
    },
    close: () => clearTimeout(timer),
  }
}
