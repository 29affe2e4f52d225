import type { Closers } from './closers.js'

/**
 * Does `work` again and again, `ms` after the last time it ended, until the owner of the closers ends; then the work
 * that is under way is waited for. A function for `ms` is asked before each pause. What `work` throws is ignored: it logs its own errors, and gives up on its signal.
 */
export function every(
  ms: number | (() => number),
  work: (signal: AbortSignal) => unknown,
  closers: Closers,
  name = 'timer',
): void {
  const over = new AbortController()
  let timer: NodeJS.Timeout | undefined
  let working: Promise<void> = Promise.resolve()

  function schedule(): void {
    if (over.signal.aborted) return
    const pauseMs = typeof ms === 'number' ? ms : ms()
    timer = setTimeout(() => {
      working = run().then(schedule, schedule)
    }, pauseMs)
  }

  async function run(): Promise<void> {
    await work(over.signal)
  }

  closers.add(name, async (reason) => {
    over.abort(reason)
    clearTimeout(timer)
    await working
  })
  schedule()
}
