export type ClockWatch = {
  /** Called whenever the machine's clock has gone back, until what is returned is called. */
  onSetBack(listener: () => void): () => void
}

const LOOK_MS = 1_000
const SMALLEST_MS = 500

/**
 * Notices when the time of day goes back against the time that has passed: somebody sets the clock, or a machine that
 * woke up with a wrong one is put right. Whatever waits for a time of day would wait for longer than was meant.
 */
export function createClockWatch(): ClockWatch {
  const listeners = new Set<() => void>()
  const ahead = () => Date.now() - performance.now()
  let before = ahead()
  let timer: NodeJS.Timeout | undefined

  function look(): void {
    const now = ahead()
    const wentBack = before - now >= SMALLEST_MS
    before = now
    if (wentBack) for (const listener of [...listeners]) listener()
  }

  return {
    onSetBack(listener) {
      if (timer === undefined) {
        before = ahead()
        timer = setInterval(look, LOOK_MS).unref()
      }
      listeners.add(listener)
      return () => {
        listeners.delete(listener)
        if (listeners.size > 0) return
        clearInterval(timer)
        timer = undefined
      }
    },
  }
}
