import { monitorEventLoopDelay } from 'node:perf_hooks'

const RESOLUTION_MS = 10
const NANOSECONDS_PER_MS = 1e6

export type EventLoopWatch = {
  /** The delay that 99 of 100 turns stayed below since the watch began, in milliseconds. */
  p99Ms(): number
  stop(): void
}

/** Measures how long this process's event loop keeps everything else waiting. */
export function watchEventLoop(): EventLoopWatch {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  histogram.enable()
  return {
    // What is measured is the time between two ticks of its timer; the tick's own length is no delay.
    p99Ms: () => Math.max(0, Math.round((histogram.percentile(99) / NANOSECONDS_PER_MS - RESOLUTION_MS) * 10) / 10),
    stop: () => void histogram.disable(),
  }
}
