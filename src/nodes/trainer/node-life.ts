import type { Logger } from '../../base/logger/index.js'

export type NodeLifeOptions = { readonly restartAfterTraining?: boolean; readonly idleTimeoutMs?: number }

/** The report of a seat, see `onReport` of SeatDeps. */
type SeatReport = { readonly isBusy: boolean; readonly hasEnded: boolean }

/** Knows when a trainer node may end by itself: after a training, or after a long time without one. */
export type NodeLife = {
  /** Registers a seat and returns the function by which it reports. The seat counts as busy until its first report. */
  watchSeat(): (report: SeatReport) => void
  /** Resolves with the reason. */
  readonly over: Promise<string>
  close(): void
}

// The longest delay that setTimeout takes; beyond it the timer fires immediately.
const LONGEST_MS = 2 ** 31 - 1

export function createNodeLife(options: NodeLifeOptions, deps: { readonly log: Logger }): NodeLife {
  const { restartAfterTraining = false, idleTimeoutMs = 0 } = options
  const busy = new Map<symbol, boolean>()
  let hasEnded = false
  let idleTimer: NodeJS.Timeout | undefined
  let end: (reason: string) => void = () => undefined
  const over = new Promise<string>((resolve) => {
    end = (reason) => {
      deps.log.info({ reason }, 'trainer node has done its work')
      resolve(reason)
    }
  })

  function update(): void {
    if ([...busy.values()].includes(true)) {
      clearTimeout(idleTimer)
      idleTimer = undefined
      return
    }
    if (restartAfterTraining && hasEnded) end('a training has ended')
    if (idleTimeoutMs === 0) return
    idleTimer ??= setTimeout(() => end('all seats were idle'), Math.min(idleTimeoutMs, LONGEST_MS))
  }

  return {
    over,
    watchSeat() {
      const seat = Symbol('seat')
      busy.set(seat, true)
      return (report) => {
        busy.set(seat, report.isBusy)
        hasEnded ||= report.hasEnded
        update()
      }
    },
    close() {
      clearTimeout(idleTimer)
      idleTimer = undefined
    },
  }
}
